using System.Runtime.CompilerServices;
using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;
using Xfrmd.PfKey.Codec;

namespace Xfrmd.PfKey;

internal sealed partial class PfKeyHandler
{
    private const uint DefaultSpiMin = 0x100, DefaultSpiMax = 0x0fffffff;

    // pfkey_getspi
    private Errno GetSpi(PfKeySocket socket, in SadbMessage message)
    {
        if (!message.TryGetEnds(out SadbEnds ends) || PfKeyNumbers.ProtoOf(message.Header.Satype) is not { } proto)
        {
            return Errno.EINVAL;
        }
        message.TryGet(SadbExtType.XSa2, out SadbXSa2 sa2);
        if (PfKeyNumbers.ModeToXfrm(sa2.Mode) is not { } mode)
        {
            return Errno.EINVAL;
        }
        SecurityAssociation? larval = message.Header.Seq == 0 ? null : _space.Sad.FindAcquireBySeq(default, message.Header.Seq, null);
        if (larval is not null && !larval.Id.Daddr.Equals(ends.Destination.Address, ends.Family))
        {
            larval = null;
        }
        larval ??= _space.Sad.FindOrCreateLarval(default, ends.Family, mode, sa2.Reqid, 0, null, proto, ends.Destination.Address, ends.Source.Address);
        (uint low, uint high) = message.TryGet(SadbExtType.Spirange, out SadbSpirange range) ? (range.Min, range.Max) : (DefaultSpiMin, DefaultSpiMax);
        Outcome outcome = Sad.VerifySpiRange(larval.Id.Proto, low, high);
        if (outcome.IsOk)
        {
            outcome = _space.Sad.AllocateSpi(larval, low, high);
        }
        return outcome.IsOk ? ReplyWith(socket, message, larval, PfKeyNumbers.SatypeOf(proto)) : outcome.Errno;
    }

    // pfkey_acquire: the key manager gives up. The larval SA stays until it times out, and no other ACQUIRE is sent for it.
    private Errno RefuseAcquire(in SadbMessage message)
    {
        if (message.Header.Len != Unsafe.SizeOf<SadbMsg>() / ExtensionTable.Word)
        {
            return Errno.EOPNOTSUPP;
        }
        if (message.Header.Seq != 0 && message.Header.Errno != 0 && _space.Sad.FindAcquireBySeq(default, message.Header.Seq, null) is { } larval)
        {
            larval.State = SaState.Error;
        }
        return Errno.None;
    }

    // pfkey_add: ADD, UPDATE
    private Errno AddSa(in SadbMessage message)
    {
        SecurityAssociation sa = new();
        Outcome outcome = Construct(sa, message);
        bool isNew = message.Header.Type == SadbType.Add;
        if (outcome.IsOk)
        {
            outcome = isNew ? _space.Sad.Add(sa) : _space.Sad.Update(sa);
        }
        if (!outcome.IsOk)
        {
            sa.Dispose();
            return outcome.Errno;
        }
        _space.KeyManagers.Notify(new SaEvent(isNew ? SaEventKind.New : SaEventKind.Update, sa) { Seq = message.Header.Seq, PortId = message.Header.Pid });
        if (sa.State == SaState.Dead)
        {
            // An update that was merged into the present SA: what carried it is told and gone.
            sa.Dispose();
        }
        return Errno.None;
    }

    // pfkey_delete
    private Errno DeleteSa(in SadbMessage message)
    {
        Errno errno = Lookup(message, out SecurityAssociation? sa);
        if (errno != Errno.None || sa is null)
        {
            return errno;
        }
        if (sa.IsInternalTunnel)
        {
            return Errno.EPERM;
        }
        if (!_space.Sad.Delete(sa))
        {
            return Errno.ESRCH;
        }
        _space.KeyManagers.Notify(new SaEvent(SaEventKind.Delete, sa) { Seq = message.Header.Seq, PortId = message.Header.Pid });
        return Errno.None;
    }

    // pfkey_get
    private Errno GetSa(PfKeySocket socket, in SadbMessage message)
    {
        Errno errno = Lookup(message, out SecurityAssociation? sa);
        return sa is null ? errno : ReplyWith(socket, message, sa, PfKeyNumbers.SatypeOf(sa.Id.Proto));
    }

    // pfkey_xfrm_state_lookup, after the check that both ends are there: the source is not compared.
    private Errno Lookup(in SadbMessage message, out SecurityAssociation? found)
    {
        found = null;
        if (!message.TryGet(SadbExtType.Sa, out SadbSa sa) || !message.TryGetEnds(out SadbEnds ends))
        {
            return Errno.EINVAL;
        }
        if (PfKeyNumbers.ProtoOf(message.Header.Satype) is { } proto)
        {
            found = _space.Sad.Lookup(0, ends.Destination.Address, sa.Spi, proto, ends.Family);
        }
        return found is null ? Errno.ESRCH : Errno.None;
    }

    private Errno ReplyWith(PfKeySocket socket, in SadbMessage message, SecurityAssociation sa, SadbSatype satype)
    {
        using PfKeyWriter? writer = SaMessages.WriteState(ReplyHeader(message, satype), sa);
        if (writer is null)
        {
            return Errno.EINVAL;
        }
        _namespace.SendToOne(socket, writer.Written);
        return Errno.None;
    }
}
