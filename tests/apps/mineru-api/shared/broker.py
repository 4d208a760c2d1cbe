"""The queue between the API and its workers, as the environment names it."""

import os

from celery import Celery
from kombu import Exchange, Queue
from shared import celeryconfig

QUEUE = os.environ["MINERU_QUEUE"]
CONVERT = "mineru.convert"

broker = Celery("mineru", broker=celeryconfig.broker_url)
broker.conf.task_queues = [
    Queue(
        QUEUE,
        Exchange(os.environ["MINERU_EXCHANGE"]),
        routing_key=os.environ["MINERU_ROUTING_KEY"],
    )
]
broker.conf.task_default_queue = QUEUE
broker.conf.task_default_exchange = os.environ["MINERU_EXCHANGE"]
broker.conf.task_default_routing_key = os.environ["MINERU_ROUTING_KEY"]
