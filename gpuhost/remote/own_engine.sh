# Put in for a line @own_engine.sh@: docker asks the host's own engine, whatever /etc/environment or
# `docker context use` name for others.
unset DOCKER_HOST DOCKER_TLS DOCKER_TLS_VERIFY DOCKER_CERT_PATH; export DOCKER_CONTEXT=default
