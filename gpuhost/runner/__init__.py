"""The part of a release that runs on the host and owns it.

Standard library only, for the Python of every supported host (3.10 and later). It is shipped as one
file, a zip application named by its hash, and never imports anything of gpuhost but itself. The
rest of gpuhost imports `contract` and `plan`, and nothing else of it.

Each room imports those above it only (tests/runner/test_rooms.py):

contract   what the controller shares: paths, unit names, states, file formats
plan       plan.json
lib        files, commands, log, proxy
failures   what the output of a failed tool means
state      an app's releases on disk: lock, journal, record, result, follow, status
docker     Compose, containers, images, services
git        a commit of the app's repository
building   Dockerfiles, build order, capacity, registry login
data       backups, secrets, directories, schedule, log rotation
site       nginx, certificates, HTTP
stages     what a release, a rollback, a restore and a removal do, in order
"""
