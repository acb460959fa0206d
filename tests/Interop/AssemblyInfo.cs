// The machines of two scenarios do not see each other, but they share the processors. So two classes run at a time only where scenarios mostly
// wait; all others are in the collection that runs alone, one after the other.
[assembly: CollectionBehavior(MaxParallelThreads = 2)]
