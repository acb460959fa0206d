namespace Xfrmd.Kernel;

/// <summary>The observers of a namespace, called in the order in which they joined.</summary>
public sealed class DatabaseObservers : IDatabaseObserver
{
    private IDatabaseObserver[] _observers = [];
    private bool _inRow;
    private bool _unsettled;

    public void Add(IDatabaseObserver observer) => _observers = [.. _observers, observer];

    public void Remove(IDatabaseObserver observer) => _observers = [.. _observers.Where(o => o != observer)];

    internal void Clear() => _observers = [];

    /// <summary>
    /// Several requests come in one datagram: until <see cref="EndRow"/> changes settle only when somebody could hear of them, for who answers
    /// or tells of a change calls <see cref="Settle"/> before.
    /// </summary>
    public void BeginRow()
    {
        _inRow = true;
        Row++;
    }

    /// <summary>Which one it is, 0 outside of any: what cannot change within one need be asked once.</summary>
    internal ulong CurrentRow => _inRow ? Row : 0;

    private ulong Row { get; set; }

    public void EndRow()
    {
        _inRow = false;
        Settle();
    }

    public void Settle()
    {
        if (!_unsettled)
        {
            return;
        }
        _unsettled = false;
        foreach (IDatabaseObserver observer in _observers)
        {
            observer.Settle();
        }
    }

    public void PolicyInserted(Policy policy, Policy? replaced)
    {
        foreach (IDatabaseObserver observer in _observers)
        {
            observer.PolicyInserted(policy, replaced);
        }
        Changed();
    }

    public void PoliciesReordered()
    {
        foreach (IDatabaseObserver observer in _observers)
        {
            observer.PoliciesReordered();
        }
        Changed();
    }

    public void PoliciesRemoved(IReadOnlyList<Policy> policies)
    {
        foreach (IDatabaseObserver observer in _observers)
        {
            observer.PoliciesRemoved(policies);
        }
        Changed();
    }

    public void DefaultPolicyChanged()
    {
        foreach (IDatabaseObserver observer in _observers)
        {
            observer.DefaultPolicyChanged();
        }
        Changed();
    }

    public void SocketPolicyChanged(ulong socketInode, Policy? inbound, Policy? outbound)
    {
        foreach (IDatabaseObserver observer in _observers)
        {
            observer.SocketPolicyChanged(socketInode, inbound, outbound);
        }
        Changed();
    }

    public void SaInserted(SecurityAssociation sa)
    {
        foreach (IDatabaseObserver observer in _observers)
        {
            observer.SaInserted(sa);
        }
        Changed();
    }

    public void SasRemoved(IReadOnlyList<SecurityAssociation> sas)
    {
        foreach (IDatabaseObserver observer in _observers)
        {
            observer.SasRemoved(sas);
        }
        Changed();
    }

    private void Changed()
    {
        _unsettled = true;
        if (!_inRow)
        {
            Settle();
        }
    }
}
