// The machines of two scenarios do not see each other, but they share the processors: what is timed wants them for itself.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
