"""Send a recording to the page, and fail unless text comes back.

Run in the container of the page: it uses the page's own model.
"""

import shutil
import sys
from pathlib import Path

from gradio_client import Client, handle_file

RECORDING = Path(__file__).with_name("gpuhost-verify.wav")
# webui.py, launch_ui: WEB_SERVER_PORT.
PAGE = "http://127.0.0.1:7860"


def main() -> None:
    client = Client(PAGE, verbose=False)
    try:
        # webui.py, upload_process_wrapper; the other settings of the form keep their defaults.
        text, *_ = client.predict(
            audio_file=handle_file(str(RECORDING)),
            text_only=True,
            api_name="/upload_process_wrapper",
        )
    finally:
        for output in Path("/app/out").glob(f"{RECORDING.stem}*"):
            shutil.rmtree(output, ignore_errors=True)
    if not any(letter.isalpha() for letter in str(text)):
        sys.exit(f"no text came back for {RECORDING.name}: {text!r}")
    print(f"text: {text}")


main()
