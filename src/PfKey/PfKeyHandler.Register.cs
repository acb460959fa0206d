using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;
using Xfrmd.PfKey.Codec;

namespace Xfrmd.PfKey;

internal sealed partial class PfKeyHandler
{
    // pfkey_register: type 0 registers nothing and is answered all the same.
    private Errno Register(PfKeySocket socket, in SadbMessage message)
    {
        SadbMsg header = message.Header;
        if (header.Satype > SadbSatype.Max)
        {
            return Errno.EINVAL;
        }
        if (header.Satype != SadbSatype.Unspec && !socket.TryRegister(header.Satype))
        {
            return Errno.EEXIST;
        }
        header.Errno = 0;
        using PfKeyWriter writer = new(header);
        Proposals.WriteSupported(writer);
        writer.Complete();
        _namespace.SendToRegistered(writer.Written, socket);
        return Errno.None;
    }

    // pfkey_promisc: a message with more than its header is relayed to all as it is.
    private Errno SetPromiscuous(PfKeySocket socket, in SadbMessage message)
    {
        byte[] relayed = message.Bytes.ToArray();
        if (message.Header.Len == Unsafe.SizeOf<SadbMsg>() / ExtensionTable.Word)
        {
            if ((byte)message.Header.Satype > 1)
            {
                return Errno.EINVAL;
            }
            socket.IsPromiscuous = message.Header.Satype != SadbSatype.Unspec;
            MemoryMarshal.AsRef<SadbMsg>(relayed.AsSpan()).Errno = 0;
        }
        _namespace.SendToAll(relayed);
        return Errno.None;
    }
}
