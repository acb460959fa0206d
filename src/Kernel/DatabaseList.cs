namespace Xfrmd.Kernel;

/// <summary>All entries of a database, newest first (<c>state_all</c>, <c>policy_all</c>). Under <see cref="XfrmNamespace.Gate"/>.</summary>
internal sealed class DatabaseList<T> where T : DatabaseEntry<T>
{
    private readonly Mark _head = new();

    public DatabaseList() => _head.NextEntry = _head.PreviousEntry = _head;

    /// <summary>The entry after this one, or null at the end. Marks of walks are passed over.</summary>
    /// <param name="entry">Null: from the beginning.</param>
    public T? After(DatabaseEntry<T>? entry)
    {
        DatabaseEntry<T> next = (entry ?? _head).NextEntry!;
        while (next is not T && next != _head)
        {
            next = next.NextEntry!;
        }
        return next as T;
    }

    public void AddFirst(T entry) => AddAfter(_head, entry);

    public static void AddAfter(DatabaseEntry<T> place, DatabaseEntry<T> entry)
    {
        DatabaseEntry<T> next = place.NextEntry!;
        (entry.PreviousEntry, entry.NextEntry) = (place, next);
        place.NextEntry = next.PreviousEntry = entry;
    }

    public static void Remove(DatabaseEntry<T> entry)
    {
        (DatabaseEntry<T> previous, DatabaseEntry<T> next) = (entry.PreviousEntry!, entry.NextEntry!);
        (previous.NextEntry, next.PreviousEntry) = (next, previous);
        entry.NextEntry = entry.PreviousEntry = null;
    }

    /// <summary>A place in the list: its beginning, or where a walk stands.</summary>
    internal sealed class Mark : DatabaseEntry<T>
    {
    }
}
