"""The part of gpuhost that runs on the host: it carries out releases, rollbacks and restores.

It uses the standard library only, for the Python of every supported host (3.10 and later). It is
sent as one file, a zip application named by its hash, and imports nothing else of gpuhost. The rest
of gpuhost imports only `contract` and `plan` of it.

Each room imports those above it only (tests/runner/test_rooms.py):

contract   shared with the controller: paths, unit names, states, file formats
plan       plan.json
lib        files by path and by handle, trees, commands, log, proxy
failures   known failures: what the output of a tool means
state      an app's releases on disk: lock, journal, record, result, follow, status
docker     Compose, containers, images, services
git        a commit of the app's repository
building   Dockerfiles, build order, capacity, registry login
data       backups and their archives, sources, secrets, directories, timers, log rotation; what an
           app can write to is opened by safe_paths
site       nginx, certificates, HTTP
resolved   what the app's Compose files mean on this host
stages     the steps of a release, a rollback, a restore and a removal
"""
