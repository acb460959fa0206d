namespace Xfrmd.Kernel;

/// <summary>
/// The SAs between two addresses for one reqid, newest first: a chain of <c>net->xfrm.state_bydst</c>. Readers walk it without lock while
/// it changes; writers come one at a time under <see cref="XfrmNamespace.Gate"/>. Adding and removing cost the same whatever its length.
/// </summary>
internal sealed class SaChain
{
    private volatile SecurityAssociation? _first;

    public SecurityAssociation? First => _first;

    /// <summary>Leads on by addresses and reqid.</summary>
    internal HashLinks<SaChain> Links;

    public void Add(SecurityAssociation sa)
    {
        sa.NextOnChain = _first;
        sa.PreviousOnChain = null;
        if (_first is { } next)
        {
            next.PreviousOnChain = sa;
        }
        _first = sa;
    }

    /// <summary>Takes an SA out. It still leads on to the next, for readers that stand on it.</summary>
    public void Remove(SecurityAssociation sa)
    {
        if (sa.PreviousOnChain is { } previous)
        {
            previous.NextOnChain = sa.NextOnChain;
        }
        else
        {
            _first = sa.NextOnChain;
        }
        if (sa.NextOnChain is { } next)
        {
            next.PreviousOnChain = sa.PreviousOnChain;
        }
    }
}
