namespace Xfrmd.Kernel;

/// <summary>
/// A place in a database list that survives changes: <c>xfrm_state_walk</c>, <c>xfrm_policy_walk</c>. A mark of the walk's own stands in the
/// list, so entries that come or go neither end nor repeat it. Use under <see cref="XfrmNamespace.Gate"/>; dispose to take the mark out.
/// </summary>
public sealed class DatabaseWalk<T> : IDisposable where T : class
{
    private readonly LinkedList<T?> _list;
    private readonly LinkedListNode<T?> _mark = new(null);
    private bool _started;

    internal DatabaseWalk(LinkedList<T?> list) => _list = list;

    /// <summary>The entry that comes next, without passing it; null at the end.</summary>
    public T? Peek()
    {
        LinkedListNode<T?>? node = _started ? _mark.Next : _list.First;
        while (node is not null && node.Value is null)
        {
            node = node.Next;   // another walk's mark
        }
        return node?.Value;
    }

    /// <summary>Passes the entry that <see cref="Peek"/> showed.</summary>
    public void Advance()
    {
        LinkedListNode<T?>? node = _started ? _mark.Next : _list.First;
        while (node is not null && node.Value is null)
        {
            node = node.Next;
        }
        if (node is null)
        {
            return;
        }
        if (_started)
        {
            _list.Remove(_mark);
        }
        _list.AddAfter(node, _mark);
        _started = true;
    }

    public void Dispose()
    {
        if (_started && _mark.List is not null)
        {
            _list.Remove(_mark);
        }
    }
}
