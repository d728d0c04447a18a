"""The data floor: data sets, the order their items come in, and batches made of them."""
