namespace Xfrmd.Kernel.Tests;

public sealed class NamespaceTests
{
    [Fact]
    public void A_namespace_that_has_ended_holds_nothing_of_what_served_it()
    {
        using XfrmNamespace space = new(1, TimeProvider.System);
        WeakReference server = Serve(space);
        space.Dispose();
        GC.Collect();
        Assert.False(server.IsAlive);
    }

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private static WeakReference Serve(XfrmNamespace space)
    {
        Server server = new();
        space.Observers.Add(server);
        space.HasInterface = server.HasInterface;
        space.SourceAddressFor = server.SourceAddressFor;
        return new WeakReference(server);
    }

    private sealed class Server : IDatabaseObserver
    {
        private readonly int _interface = 1;

        public bool HasInterface(int index) => index == _interface;

        public XfrmAddress? SourceAddressFor(XfrmAddress daddr, ushort family, uint mark) => _interface == 1 ? daddr : null;

        public void PolicyInserted(Policy policy, Policy? replaced)
        {
        }

        public void PoliciesRemoved(IReadOnlyList<Policy> policies)
        {
        }

        public void DefaultPolicyChanged()
        {
        }

        public void SocketPolicyChanged(ulong socketInode, Policy? inbound, Policy? outbound)
        {
        }

        public void SaInserted(SecurityAssociation sa)
        {
        }

        public void SasRemoved(IReadOnlyList<SecurityAssociation> sas)
        {
        }
    }
}
