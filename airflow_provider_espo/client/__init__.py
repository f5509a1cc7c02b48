"""EspoCRM's REST protocol: a core without I/O and two thin transports over it. Imports no Airflow."""
