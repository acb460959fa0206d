using Xfrmd.Kernel;
using Xfrmd.PfKey;

namespace Xfrmd.Cli.Serve;

/// <summary>
/// AF_KEY, with the datapath running before a program has its first socket. Otherwise the first policy or bypassing socket would start it, and
/// whatever is asked meanwhile would wait for devices and rules to be made: OpenIKED, one of whose processes sets up its sockets while the
/// other asks PF_KEY, waits a millisecond and dies.
/// </summary>
internal sealed class ReadyPfKeyFamily(PfKeyFamily family, Func<XfrmNamespace, NamespaceServices> servicesOf) : IProtocolFamily
{
    public Errno Create(int type, int protocol, XfrmNamespace space, IReceiveBuffer buffer, in Caller caller, out IProtocolSocket? socket)
    {
        Errno errno = family.Create(type, protocol, space, buffer, caller, out socket);
        if (errno == Errno.None)
        {
            lock (space.Gate)
            {
                servicesOf(space).Start();
            }
        }
        return errno;
    }
}
