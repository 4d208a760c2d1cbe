"""What the controller and the runner share: paths, states, file formats."""
