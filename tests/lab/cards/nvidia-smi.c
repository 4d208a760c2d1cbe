/* Stand-in of nvidia-smi: answers from recorded outputs in SMI. Static, so that it also runs in
 * images without a C library or a shell.
 *
 *   SMI/failure        if there: the answer to every call
 *   SMI/warning        if there: added to every answer that succeeds
 *   SMI/query.csv      --query-gpu: a line of fields ("memory.total [MiB]"), a line for each card
 *   SMI/answers/NAME   other calls; NAME is "table" or the short options joined with "_"
 *
 * A failure, warning or answer begins with a line that holds the exit status.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#ifndef SMI
#define SMI "/lab/card/smi"
#endif
#define PERSISTENCE "/run/nvidia-smi.persistence"
#define DAEMON "/run/nvidia-persistenced" /* there while its unit runs */
#define FIELDS 64
#define SEPARATOR ", "

struct options {
    const char *query;  /* the fields of --query-gpu */
    const char *card;   /* the index or bus id of -i */
    int header, units;
    char name[256];     /* of the recorded answer */
};

static int answer(const char *path) {
    FILE *file = fopen(path, "r");
    char line[4096];
    int status;

    if (file == NULL) return -1;
    if (fgets(line, sizeof line, file) == NULL) exit(255);
    status = atoi(line);
    while (fgets(line, sizeof line, file) != NULL) fputs(line, stdout);
    fclose(file);
    return status;
}

static int split(char *text, const char *separator, char **parts) {
    int count = 0;
    char *next;

    text[strcspn(text, "\r\n")] = '\0';
    while (count < FIELDS) {
        parts[count++] = text;
        next = strstr(text, separator);
        if (next == NULL) break;
        *next = '\0';
        text = next + strlen(separator);
    }
    return count;
}

static size_t bare(const char *field) {
    const char *unit = strstr(field, " [");
    return unit == NULL ? strlen(field) : (size_t)(unit - field);
}

static int column(char **fields, int count, const char *wanted) {
    for (int at = 0; at < count; at++)
        if (strlen(wanted) == bare(fields[at]) && strncmp(fields[at], wanted, bare(fields[at])) == 0)
            return at;
    return -1;
}

static int is_card(const char *wanted, char **fields, int count, char **values) {
    const char *known[] = {"index", "pci.bus_id", "uuid"};

    if (wanted == NULL) return 1;
    for (int at = 0; at < 3; at++) {
        int where = column(fields, count, known[at]);
        if (where >= 0 && strcmp(values[where], wanted) == 0) return 1;
    }
    return 0;
}

static const char *live(const char *field, const char *recorded) {
    struct stat there;

    if (strncmp(field, "persistence_mode", 16) != 0) return recorded;
    if (stat(DAEMON, &there) == 0) return "Enabled";
    if (stat(PERSISTENCE, &there) == 0) return there.st_size > 0 ? "Enabled" : "Disabled";
    return recorded;
}

static void print_value(const char *field, const char *value, int units) {
    const char *unit = field + bare(field);

    fputs(value, stdout);
    if (units && *unit != '\0' && *value != '[' && strcmp(value, "N/A") != 0)
        printf(" %.*s", (int)strlen(unit) - 3, unit + 2);
}

static int query(struct options *options) {
    FILE *file = fopen(SMI "/query.csv", "r");
    char head[4096], row[4096], names[4096];
    char *fields[FIELDS], *wanted[FIELDS], *values[FIELDS];
    int columns[FIELDS], count, asked;

    if (file == NULL || fgets(head, sizeof head, file) == NULL) return 255;
    count = split(head, SEPARATOR, fields);
    snprintf(names, sizeof names, "%s", options->query);
    asked = split(names, ",", wanted);
    for (int at = 0; at < asked; at++) {
        while (*wanted[at] == ' ') wanted[at]++;
        columns[at] = column(fields, count, wanted[at]);
        if (columns[at] < 0) {
            printf("Field \"%s\" is not a valid field to query.\n\n", wanted[at]);
            return 2;
        }
    }
    for (int at = 0; options->header && at < asked; at++) {
        const char *field = fields[columns[at]];
        printf("%s%.*s", at ? SEPARATOR : "", (int)(options->units ? strlen(field) : bare(field)), field);
    }
    if (options->header) putchar('\n');
    while (fgets(row, sizeof row, file) != NULL) {
        split(row, SEPARATOR, values);
        if (!is_card(options->card, fields, count, values)) continue;
        for (int at = 0; at < asked; at++) {
            const char *field = fields[columns[at]];
            fputs(at ? SEPARATOR : "", stdout);
            print_value(field, live(field, values[columns[at]]), options->units);
        }
        putchar('\n');
    }
    return 0;
}

static const char *short_option(const char *option) {
    static const char *const same[][2] = {
        {"--list-gpus", "-L"}, {"--query", "-q"}, {"--xml-format", "-x"},
        {"--persistence-mode=1", "-pm_1"}, {"--persistence-mode=0", "-pm_0"},
    };
    for (size_t at = 0; at < sizeof same / sizeof same[0]; at++)
        if (strcmp(option, same[at][0]) == 0) return same[at][1];
    return option;
}

static void read_options(int count, char **given, struct options *options) {
    memset(options, 0, sizeof *options);
    options->header = options->units = 1;
    for (int at = 1; at < count; at++) {
        if (strncmp(given[at], "--query-gpu=", 12) == 0) {
            options->query = given[at] + 12;
        } else if (strncmp(given[at], "--format=", 9) == 0) {
            options->header = strstr(given[at], "noheader") == NULL;
            options->units = strstr(given[at], "nounits") == NULL;
        } else if (strncmp(given[at], "--id=", 5) == 0) {
            options->card = given[at] + 5;
        } else if (strcmp(given[at], "-i") == 0 && at + 1 < count) {
            options->card = given[++at];
        } else {
            size_t used = strlen(options->name);
            snprintf(options->name + used, sizeof options->name - used, "%s%s", used ? "_" : "",
                     short_option(given[at]));
        }
    }
}

static void set_persistence(int on) {
    FILE *file = fopen(PERSISTENCE, "w");
    if (file == NULL) return;
    if (on) fputs("Enabled\n", file);
    fclose(file);
}

static int warned(int status) {
    int warning = status == 0 ? answer(SMI "/warning") : -1;
    return warning >= 0 ? warning : status;
}

int main(int count, char **given) {
    struct options options;
    char path[512];
    int status = answer(SMI "/failure");

    if (status >= 0) return status;
    read_options(count, given, &options);
    if (options.query != NULL) return warned(query(&options));
    if (strncmp(options.name, "-pm_", 4) == 0) {
        set_persistence(options.name[4] == '1');
        puts("All done.");
        return 0;
    }
    snprintf(path, sizeof path, SMI "/answers/%s", options.name[0] ? options.name : "table");
    status = answer(path);
    if (status >= 0) return warned(status);
    puts("Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n");
    return 2;
}
