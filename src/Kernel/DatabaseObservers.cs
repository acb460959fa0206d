namespace Xfrmd.Kernel;

/// <summary>The observers of a namespace, called in the order in which they joined.</summary>
public sealed class DatabaseObservers : IDatabaseObserver
{
    private IDatabaseObserver[] _observers = [];

    public void Add(IDatabaseObserver observer) => _observers = [.. _observers, observer];

    public void Remove(IDatabaseObserver observer) => _observers = [.. _observers.Where(o => o != observer)];

    public void PolicyInserted(Policy policy, Policy? replaced)
    {
        foreach (IDatabaseObserver observer in _observers)
        {
            observer.PolicyInserted(policy, replaced);
        }
    }

    public void PoliciesRemoved(IReadOnlyList<Policy> policies)
    {
        foreach (IDatabaseObserver observer in _observers)
        {
            observer.PoliciesRemoved(policies);
        }
    }

    public void DefaultPolicyChanged()
    {
        foreach (IDatabaseObserver observer in _observers)
        {
            observer.DefaultPolicyChanged();
        }
    }

    public void SocketPolicyChanged(ulong socketInode, Policy? inbound, Policy? outbound)
    {
        foreach (IDatabaseObserver observer in _observers)
        {
            observer.SocketPolicyChanged(socketInode, inbound, outbound);
        }
    }

    public void SaInserted(SecurityAssociation sa)
    {
        foreach (IDatabaseObserver observer in _observers)
        {
            observer.SaInserted(sa);
        }
    }

    public void SasRemoved(IReadOnlyList<SecurityAssociation> sas)
    {
        foreach (IDatabaseObserver observer in _observers)
        {
            observer.SasRemoved(sas);
        }
    }
}
