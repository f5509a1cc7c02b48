"""Apache Airflow provider for EspoCRM."""

__version__ = "0.1.0"
