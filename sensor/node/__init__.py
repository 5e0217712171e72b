"""The node program: kernel events in, states of containers out. The only code that holds capabilities."""
