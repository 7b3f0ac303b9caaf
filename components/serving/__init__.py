"""The parts of the model server: what it computes, how it is asked, how it starts and ends."""
