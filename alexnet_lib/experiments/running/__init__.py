"""The machine of the experiments: which runs are next, how they are stopped, resumed and recorded."""
