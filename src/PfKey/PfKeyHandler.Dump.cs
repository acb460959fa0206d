using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;
using Xfrmd.PfKey.Codec;

namespace Xfrmd.PfKey;

internal sealed partial class PfKeyHandler
{
    // pfkey_dump
    private Errno DumpSas(PfKeySocket socket, in SadbMessage message)
    {
        if (socket.IsDumping)
        {
            return Errno.EBUSY;
        }
        if (PfKeyNumbers.ProtoOf(message.Header.Satype) is not { } proto)
        {
            return Errno.EINVAL;
        }
        AddressFilter? filter = null;
        if (message.TryGet(SadbExtType.XFilter, out SadbXFilter given))
        {
            if (given.Splen > AddressFilter.MaxPrefix || given.Dplen > AddressFilter.MaxPrefix)
            {
                return Errno.EINVAL;
            }
            filter = new AddressFilter(given.Saddr, given.Daddr, given.Family, given.Splen, given.Dplen);
        }
        return socket.StartDump(message.Header, new SaDump(_space.Sad, proto, filter));
    }

    // pfkey_spddump
    private Errno DumpPolicies(PfKeySocket socket, in SadbMessage message) =>
        socket.IsDumping ? Errno.EBUSY : socket.StartDump(message.Header, new PolicyDump(_space));
}
