"""What has changed on the hosts of a fleet since they were provisioned."""
