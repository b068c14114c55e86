"""The names of the agent's configuration that monitors import."""

from scalyr_agent._global_config import GlobalConfig as Configuration
from scalyr_agent.config_util import BadConfiguration

__all__ = ["BadConfiguration", "Configuration"]
