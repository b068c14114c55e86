"""Monitors that come with the agent, and those that users have put among them.

Whoever runs monitors adds the users' folders to __path__.
"""
