using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;
using Xfrmd.PfKey.Codec;

namespace Xfrmd.PfKey;

internal sealed partial class PfKeyHandler
{
    // pfkey_flush: the sender is answered in any case, and all are told where something went.
    private Errno FlushSas(PfKeySocket socket, in SadbMessage message)
    {
        if (PfKeyNumbers.ProtoOf(message.Header.Satype) is not { } proto)
        {
            return Errno.EINVAL;
        }
        int removed = _space.Sad.Flush(proto);
        ReplyToFlush(socket, message.Header);
        if (removed != 0)
        {
            _space.KeyManagers.Notify(new SaEvent(SaEventKind.Flush, null) { Proto = proto, Seq = message.Header.Seq, PortId = message.Header.Pid });
        }
        return Errno.None;
    }

    // pfkey_spdflush
    private Errno FlushPolicies(PfKeySocket socket, in SadbMessage message)
    {
        int removed = _space.Spd.Flush(PolicyType.Main);
        ReplyToFlush(socket, message.Header);
        if (removed != 0)
        {
            _space.KeyManagers.NotifyPolicy(new PolicyEvent(PolicyEventKind.Flush, null)
            {
                Type = PolicyType.Main,
                Seq = message.Header.Seq,
                PortId = message.Header.Pid,
            });
        }
        return Errno.None;
    }

    // unicast_flush_resp
    private void ReplyToFlush(PfKeySocket socket, SadbMsg header)
    {
        header.Errno = 0;
        using PfKeyWriter writer = new(header);
        writer.Complete();
        _namespace.SendToOne(socket, writer.Written);
    }
}
