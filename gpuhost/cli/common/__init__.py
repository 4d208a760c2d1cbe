"""What several verbs share: options, inventories, completion, streams, runs of pyinfra."""
