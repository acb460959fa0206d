using Xfrmd.Crypto;
using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;
using Xfrmd.PfKey.Codec;

namespace Xfrmd.PfKey;

internal sealed partial class PfKeyHandler
{
    private const byte AuthMax = 251, EncryptMax = 253, CompressionMax = 4;   // SADB_AALG_MAX, SADB_EALG_MAX, SADB_X_CALG_MAX
    private const byte NullAuth = 251, NullEncrypt = 11;
    private const byte MaxReplayWindow = 32;   // bits of xfrm_replay_state.bitmap

    // pfkey_msg2xfrm_state, step by step in its order: the first that fails is what the client is told.
    private Outcome Construct(SecurityAssociation sa, in SadbMessage message)
    {
        if (!message.TryGet(SadbExtType.Sa, out SadbSa given) || !message.TryGetEnds(out SadbEnds ends))
        {
            return Errno.EINVAL;
        }
        SadbSatype satype = message.Header.Satype;
        if ((satype == SadbSatype.Esp && !message.Has(SadbExtType.KeyEncrypt))
            || (satype == SadbSatype.Ah && !message.Has(SadbExtType.KeyAuth))
            || message.Has(SadbExtType.LifetimeHard) != message.Has(SadbExtType.LifetimeSoft)
            || PfKeyNumbers.ProtoOf(satype) is not { } proto
            || given.Auth > AuthMax
            || given.Encrypt > (satype == SadbSatype.XIpcomp ? CompressionMax : EncryptMax)
            || (message.TryGetKey(SadbExtType.KeyAuth, out int authBits, out _) && authBits == 0 && given.Auth != NullAuth)
            || (message.TryGetKey(SadbExtType.KeyEncrypt, out int encryptBits, out _) && encryptBits == 0 && given.Encrypt != NullEncrypt))
        {
            return Errno.EINVAL;
        }
        sa.Id.Proto = proto;
        sa.Id.Spi = given.Spi;
        sa.AddTime = _space.WallSeconds;
        sa.LegacyReplayWindow = Math.Min(given.Replay, MaxReplayWindow);
        sa.Flags = FlagsOf(given.Flags);
        sa.Lifetime = Lifetimes.Read(message);
        Outcome outcome = AttachAuth(sa, given.Auth, message);
        if (outcome.IsOk)
        {
            outcome = satype == SadbSatype.XIpcomp ? AttachCompression(sa, given.Encrypt) : AttachCipher(sa, given.Encrypt, message);
        }
        if (!outcome.IsOk)
        {
            return outcome;
        }
        sa.Family = ends.Family;
        sa.Saddr = ends.Source.Address;
        sa.Id.Daddr = ends.Destination.Address;
        message.TryGet(SadbExtType.XSa2, out SadbXSa2 sa2);
        if (PfKeyNumbers.ModeToXfrm(sa2.Mode) is not { } mode)
        {
            return Errno.EINVAL;
        }
        sa.Mode = mode;
        sa.Reqid = sa2.Reqid;
        if (message.TryGetAddress(SadbExtType.AddressProxy, out SadbAddress extension, out SocketAddress proxy))
        {
            sa.Selector.Saddr = proxy.Address;
            sa.Selector.Family = proxy.Family;
            sa.Selector.PrefixlenS = extension.Prefixlen;
        }
        else
        {
            sa.Selector.Family = ends.Family;
        }
        sa.Encap = EncapOf(message);
        outcome = SaInitializer.Initialize(sa, _space);
        if (outcome.IsOk)
        {
            sa.SetReplay(new ReplayState { Mode = ReplayMode.Legacy, Window = sa.LegacyReplayWindow });
            sa.KmSeq = message.Header.Seq;
        }
        return outcome;
    }

    private static SaFlags FlagsOf(SadbSaFlags given) =>
        ((given & SadbSaFlags.NoEcn) != 0 ? SaFlags.NoEcn : 0)
        | ((given & SadbSaFlags.DecapDscp) != 0 ? SaFlags.DecapDscp : 0)
        | ((given & SadbSaFlags.NoPmtuDisc) != 0 ? SaFlags.NoPmtuDisc : 0);

    private static Outcome AttachAuth(SecurityAssociation sa, byte id, in SadbMessage message)
    {
        if (id == 0)
        {
            return Outcome.Ok;
        }
        if (AlgorithmCatalogue.FindAuthByPfKeyId(id) is not { } row)
        {
            return Errno.ENOSYS;
        }
        message.TryGetKey(SadbExtType.KeyAuth, out int bits, out ReadOnlySpan<byte> key);
        sa.Auth = new SaAuth(row.Name, new SecretKey(key), bits, row.DefaultTruncBits);
        sa.AuthId = id;
        return Outcome.Ok;
    }

    private static Outcome AttachCipher(SecurityAssociation sa, byte id, in SadbMessage message)
    {
        if (id == 0)
        {
            return Outcome.Ok;
        }
        if (AlgorithmCatalogue.FindCipherByPfKeyId(id) is not { } row)
        {
            return Errno.ENOSYS;
        }
        message.TryGetKey(SadbExtType.KeyEncrypt, out int bits, out ReadOnlySpan<byte> key);
        sa.Crypt = new SaCrypt(row.Name, new SecretKey(key), bits);
        sa.CipherId = id;
        return Outcome.Ok;
    }

    private static Outcome AttachCompression(SecurityAssociation sa, byte id)
    {
        if (id == 0)
        {
            return Outcome.Ok;
        }
        if (AlgorithmCatalogue.FindCompressionByPfKeyId(id) is not { } row)
        {
            return Errno.ENOSYS;
        }
        sa.Comp = new SaComp(row.Name);
        sa.CompressionId = id;
        return Outcome.Ok;
    }

    // NAT_T_OA is not looked at.
    private static XfrmEncapTmpl? EncapOf(in SadbMessage message)
    {
        if (!message.TryGet(SadbExtType.XNatTType, out SadbXNatTType type))
        {
            return null;
        }
        message.TryGet(SadbExtType.XNatTSport, out SadbXNatTPort source);
        message.TryGet(SadbExtType.XNatTDport, out SadbXNatTPort destination);
        return new XfrmEncapTmpl { EncapType = type.Type, EncapSport = source.Port, EncapDport = destination.Port };
    }
}
