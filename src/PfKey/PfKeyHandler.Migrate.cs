using System.Runtime.CompilerServices;
using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;
using Xfrmd.PfKey.Codec;

namespace Xfrmd.PfKey;

internal sealed partial class PfKeyHandler
{
    // pfkey_migrate: the event that all hear is the answer.
    private Errno Migrate(in SadbMessage message)
    {
        if (!message.TryGetEnds(out SadbEnds ends) || !message.TryGet(SadbExtType.XPolicy, out SadbXPolicy given) || given.Dir >= IpsecDir.Max)
        {
            return Errno.EINVAL;
        }
        KmAddress? kmAddress = null;
        if (message.TryGet(SadbExtType.XKmaddress, out SadbXKmaddress km))
        {
            if (!SocketAddress.TryReadPair(message.Extension(SadbExtType.XKmaddress)[Unsafe.SizeOf<SadbXKmaddress>()..], out SocketAddress local, out SocketAddress remote))
            {
                return Errno.EINVAL;
            }
            kmAddress = new KmAddress(local.Address, remote.Address, km.Reserved, local.Family);
        }
        Errno errno = IpsecRequests.ParseMigration(message.Extension(SadbExtType.XPolicy), out List<MigrateEntry> entries);
        // Direction 0 becomes 255 here, and is refused after the entries.
        return errno != Errno.None
            ? errno
            : Migration.Run(_space, ends.ToSelector(), unchecked((byte)(given.Dir - 1)), PolicyType.Main, entries, kmAddress, encap: null, ifId: 0).Errno;
    }
}
