"""Stand-in for the worker that writes reports."""

from shared.config.settings import settings

from app.workers.ingest import work


class OpenAI:
    def __init__(self, api_key: str, base_url: str) -> None:
        self.address = base_url


class AIWorker:
    def __init__(self) -> None:
        self.client = OpenAI(
            api_key=settings.DASHSCOPE_API_KEY,
            base_url="https://dashscope.aliyuncs.com/compatible-mode/v1",
        )


if __name__ == "__main__":
    AIWorker()
    work("AI Worker")
