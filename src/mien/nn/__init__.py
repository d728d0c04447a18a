"""Parts of networks that several systems build from. The networks' training is in `mien.train`."""
