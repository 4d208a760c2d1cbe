/* Stand-in of libcuda.so.1, for the cards that the stand-in nvidia-smi lists.
 *
 *   SMI/cuda        the newest CUDA, "12.2"
 *   SMI/answers/-L  a line of status, then a line for each card
 *   SMI/failure     if there: nvidia-smi fails, and so does cuInit (999)
 *   SMI/cu_init     if there: what cuInit returns
 *
 * Only functions that every C library has, in one version: it is built on one machine and loaded on
 * others.
 */
#include <stdio.h>
#include <string.h>

#ifndef SMI
#define SMI "/lab/card/smi"
#endif
#define CARDS 64
enum { OK = 0, INVALID_VALUE = 1, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101, UNKNOWN = 999 };

typedef struct { unsigned char bytes[16]; } uuid;

static char names[CARDS][256], uuids[CARDS][64];
static int cards = -1;

static int number(const char *text) {
    int value = 0;
    while (*text >= '0' && *text <= '9') value = value * 10 + (*text++ - '0');
    return value;
}

static int first_line(const char *path, char *line, int size) {
    FILE *file = fopen(path, "r");
    if (file == NULL) return 0;
    if (fgets(line, size, file) == NULL) *line = '\0';
    fclose(file);
    return 1;
}

static void copy(char *to, size_t size, const char *from, const char *end) {
    size_t length = end == NULL ? strlen(from) : (size_t)(end - from);
    if (length >= size) length = size - 1;
    memcpy(to, from, length);
    to[length] = '\0';
}

static void read_cards(void) {
    FILE *file = fopen(SMI "/answers/-L", "r");
    char line[1024];

    cards = 0;
    while (file != NULL && cards < CARDS && fgets(line, sizeof line, file) != NULL) {
        char *name = strstr(line, ": "), *id = strstr(line, " (UUID: GPU-");
        if (strncmp(line, "GPU ", 4) != 0 || name == NULL || id == NULL) continue;
        copy(names[cards], sizeof names[cards], name + 2, id);
        copy(uuids[cards], sizeof uuids[cards], id + strlen(" (UUID: GPU-"), strchr(id, ')'));
        cards++;
    }
    if (file != NULL) fclose(file);
}

int cuDriverGetVersion(int *version) {
    char line[64] = "";
    const char *minor;

    first_line(SMI "/cuda", line, sizeof line);
    minor = strchr(line, '.');
    *version = number(line) * 1000 + (minor == NULL ? 0 : number(minor + 1) * 10);
    return OK;
}

int cuInit(unsigned int flags) {
    char line[64];

    if (flags != 0) return INVALID_VALUE;
    if (first_line(SMI "/cu_init", line, sizeof line) && number(line) != OK) return number(line);
    if (first_line(SMI "/failure", line, sizeof line)) return UNKNOWN;
    read_cards();
    return cards > 0 ? OK : NO_DEVICE;
}

int cuDeviceGetCount(int *count) {
    if (cards < 0) return NOT_INITIALIZED;
    *count = cards;
    return OK;
}

int cuDeviceGet(int *device, int ordinal) {
    if (ordinal < 0 || ordinal >= cards) return INVALID_DEVICE;
    *device = ordinal;
    return OK;
}

int cuDeviceGetName(char *name, int length, int device) {
    if (device < 0 || device >= cards) return INVALID_DEVICE;
    copy(name, (size_t)length, names[device], NULL);
    return OK;
}

static int digit(char letter) {
    if (letter >= '0' && letter <= '9') return letter - '0';
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

int cuDeviceGetUuid(uuid *id, int device) {
    int half = 0;

    if (device < 0 || device >= cards) return INVALID_DEVICE;
    memset(id, 0, sizeof *id);
    for (const char *at = uuids[device]; *at != '\0' && half < 32; at++) {
        if (digit(*at) < 0) continue;
        id->bytes[half / 2] = (unsigned char)(id->bytes[half / 2] << 4 | digit(*at));
        half++;
    }
    return OK;
}
