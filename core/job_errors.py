"""What a person is told where a job fails."""

MOST_SECONDS = 30 * 60.0  # of the device, for one job
NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")  # as CUDA and the CPU's allocators say it
UNEXPECTED = "Something went wrong on the server, and this job was ended; nothing else was touched: please try again."
OVER_BUDGET = (
    f"This has used the device for {MOST_SECONDS / 60:.0f} minutes, the most that one job may, so it was ended; what it has found "
    "stays. Use fewer steps, fewer rows or a smaller batch."
)


def in_words(error: BaseException) -> str:
    """A sentence for an unexpected error."""
    memory = isinstance(error, MemoryError) or any(words in str(error).lower() for words in NO_MEMORY)
    return "The device is out of memory: use fewer virtual tokens or a smaller batch." if memory else UNEXPECTED
