"""The firewall's domain: ufw's rules, the kernel's tables, published ports, what listens."""
