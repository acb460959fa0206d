namespace Xfrmd.Kernel;

/// <summary>
/// Follows the databases of a namespace: steering and the datapath. Calls come under <see cref="XfrmNamespace.Gate"/>, before the request
/// that caused them is answered, so that what a client was told is true of packets too.
/// </summary>
public interface IDatabaseObserver
{
    void PolicyInserted(Policy policy, Policy? replaced);

    /// <summary>
    /// Follows each change, or several in a row, before anybody is told of them: what is cheaper done for all at once may wait until here.
    /// </summary>
    void Settle()
    {
    }

    /// <summary>Which policy wins has changed for those that are there (hash thresholds).</summary>
    void PoliciesReordered()
    {
    }

    void PoliciesRemoved(IReadOnlyList<Policy> policies);

    void DefaultPolicyChanged();

    void SocketPolicyChanged(ulong socketInode, Policy? inbound, Policy? outbound);

    /// <summary>An SA entered the database, or what UPDSA may change in it has changed.</summary>
    void SaInserted(SecurityAssociation sa);

    void SasRemoved(IReadOnlyList<SecurityAssociation> sas);
}
