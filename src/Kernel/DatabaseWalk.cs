namespace Xfrmd.Kernel;

/// <summary>
/// A place in a database list that survives changes: <c>xfrm_state_walk</c>, <c>xfrm_policy_walk</c>. A mark of the walk's own stands in the
/// list, so entries that come or go neither end nor repeat it. Use under <see cref="XfrmNamespace.Gate"/>; dispose to take the mark out.
/// </summary>
public sealed class DatabaseWalk<T> : IDisposable where T : DatabaseEntry<T>
{
    private readonly DatabaseList<T> _list;
    private readonly DatabaseList<T>.Mark _mark = new();

    internal DatabaseWalk(DatabaseList<T> list) => _list = list;

    /// <summary>The entry that comes next, without passing it; null at the end.</summary>
    public T? Peek() => _list.After(_mark.IsListed ? _mark : null);

    /// <summary>Passes the entry that <see cref="Peek"/> showed.</summary>
    public void Advance()
    {
        if (Peek() is { } passed)
        {
            Dispose();
            DatabaseList<T>.AddAfter(passed, _mark);
        }
    }

    public void Dispose()
    {
        if (_mark.IsListed)
        {
            DatabaseList<T>.Remove(_mark);
        }
    }
}
