using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xfrmd.Crypto;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;

namespace Xfrmd.Netlink;

internal sealed partial class XfrmHandler
{
    private static readonly uint PossibleCpus = CountPossibleCpus();
    private static readonly uint[] NothingReceived = [0];

    // num_possible_cpus: what the machine could have, whichever of them are ours to run on. The list has the form "0-3,8".
    private static uint CountPossibleCpus()
    {
        try
        {
            uint count = 0;
            foreach (string range in File.ReadAllText("/sys/devices/system/cpu/possible").Split(',', StringSplitOptions.TrimEntries))
            {
                string[] ends = range.Split('-');
                count += uint.Parse(ends[^1], CultureInfo.InvariantCulture) - uint.Parse(ends[0], CultureInfo.InvariantCulture) + 1;
            }
            return count;
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException or FormatException)
        {
            return (uint)Environment.ProcessorCount;
        }
    }

    // xfrm_state_construct, step by step in its order: the first that fails is what the client is told.
    private Outcome Construct(SecurityAssociation sa, in XfrmUserSaInfo info, ref XfrmRequest request)
    {
        CopyFromUser(sa, info);
        sa.AddTime = _space.WallSeconds;
        if (request.Attributes.TryRead(XfrmAttr.Encap, out XfrmEncapTmpl encap))
        {
            sa.Encap = encap;
        }
        if (request.Attributes.TryRead(XfrmAttr.CoAddr, out XfrmAddress careOf))
        {
            sa.CareOfAddress = careOf;
        }
        sa.ExtraFlags = (SaExtraFlags)(request.Attributes.UInt32(XfrmAttr.SaExtraFlags) ?? 0);
        Outcome outcome = AttachAead(sa, ref request);
        if (outcome.IsOk)
        {
            outcome = AttachAuthTrunc(sa, ref request);
        }
        if (outcome.IsOk && sa.Auth is null)
        {
            outcome = AttachAuth(sa, ref request);
        }
        if (outcome.IsOk)
        {
            outcome = AttachCrypt(sa, ref request);
        }
        if (outcome.IsOk)
        {
            outcome = AttachComp(sa, ref request);
        }
        if (!outcome.IsOk)
        {
            return outcome;
        }
        sa.TfcPad = request.Attributes.UInt32(XfrmAttr.TfcPad) ?? 0;
        sa.Mark = request.Attributes.Mark();
        sa.SetMark = SetMark(ref request);
        sa.IfId = request.Attributes.UInt32(XfrmAttr.IfId) ?? 0;
        sa.Direction = NewSaVerifier.DirectionOf(ref request);
        sa.NatKeepaliveInterval = request.Attributes.UInt32(XfrmAttr.NatKeepaliveInterval) ?? 0;
        sa.MappingMaxAge = request.Attributes.UInt32(XfrmAttr.MtimerThresh) ?? 0;
        sa.Pcpu = request.Attributes.UInt32(XfrmAttr.SaPcpu);
        if (sa.Pcpu >= PossibleCpus)
        {
            return Outcome.Reject(Errno.ERANGE, "pCPU number too big");
        }
        if (sa.Mode == XfrmMode.Iptfs)
        {
            sa.Iptfs = Iptfs(ref request);
        }
        outcome = SaInitializer.Initialize(sa, _space);
        if (outcome.IsOk)
        {
            outcome = SetReplay(sa, ref request);
        }
        if (!outcome.IsOk)
        {
            return outcome;
        }
        sa.KmSeq = info.Seq;
        sa.ReplayMaxDiff = request.Attributes.UInt32(XfrmAttr.ReplayThresh) ?? _space.Sysctls.AeventRseqth;
        // The sysctl counts 100 ms, the attribute is taken for jiffies (xfrm_update_ae_params).
        sa.ReplayMaxAge = request.Attributes.UInt32(XfrmAttr.EtimerThresh) ?? _space.Sysctls.AeventEtime * SecurityAssociation.JiffiesPerSecond / 10;
        if (request.Attributes.TryRead(XfrmAttr.LtimeVal, out XfrmLifetimeCur lifetime))
        {
            sa.CurrentLifetime = lifetime;
        }
        outcome = request.Attributes.TryRead(XfrmAttr.OffloadDev, out XfrmUserOffload offload) ? RefuseOffload(sa, offload) : Outcome.Ok;
        return outcome.IsOk ? VerifyPacketSize(sa) : outcome;
    }

    // iptfs_user_init: more than props.header_len, as esp_init_state and __iptfs_init_state have made it.
    private static Outcome VerifyPacketSize(SecurityAssociation sa)
    {
        const int espHeader = 8, udpHeader = 8, aggfragHeader = 4, ipv4Header = 20, ipv6Header = 40;
        if (sa.Iptfs is not { PacketSize: not 0 and var size })
        {
            return Outcome.Ok;
        }
        int headers = espHeader + (sa.Esp?.IvLength ?? 0) + (sa.Encap is null ? 0 : udpHeader) + (sa.Family == AddressFamily.Inet ? ipv4Header : ipv6Header) + aggfragHeader;
        return size > headers ? Outcome.Ok : Outcome.Reject(Errno.EINVAL, "Packet size must be 0 or greater than IPTFS/ESP header length");
    }

    // copy_from_user_state
    private static void CopyFromUser(SecurityAssociation sa, in XfrmUserSaInfo info)
    {
        sa.Id = info.Id;
        sa.Selector = info.Sel;
        sa.Lifetime = info.Lft;
        sa.Mode = (XfrmMode)info.Mode;
        sa.LegacyReplayWindow = Math.Min(info.ReplayWindow, (byte)32);
        sa.Reqid = info.Reqid;
        sa.Family = info.Family;
        sa.Saddr = info.Saddr;
        sa.Flags = (SaFlags)info.Flags;
        if (sa.Selector.Family == AddressFamily.Unspec && (sa.Flags & SaFlags.AfUnspec) == 0)
        {
            sa.Selector.Family = info.Family;
        }
    }

    // attach_aead
    private static Outcome AttachAead(SecurityAssociation sa, ref XfrmRequest request)
    {
        if (!request.Attributes.TryRead(XfrmAttr.AlgAead, out XfrmAlgoAuth given))
        {
            return Outcome.Ok;
        }
        if (given.IcvLen > int.MaxValue || AlgorithmCatalogue.FindAead(given.Name.ToString(), (int)given.IcvLen) is not { } row)
        {
            return Outcome.Reject(Errno.ENOSYS, "Requested AEAD algorithm not found");
        }
        sa.CipherId = row.PfKeyId;
        sa.Aead = new SaAead(row.Name, KeyOf(request.Attributes.Data(XfrmAttr.AlgAead), given.KeyLen, Unsafe.SizeOf<XfrmAlgoAuth>()), (int)given.KeyLen, row.IcvBits);
        return Outcome.Ok;
    }

    // attach_auth_trunc
    private static Outcome AttachAuthTrunc(SecurityAssociation sa, ref XfrmRequest request)
    {
        if (!request.Attributes.TryRead(XfrmAttr.AlgAuthTrunc, out XfrmAlgoAuth given))
        {
            return Outcome.Ok;
        }
        if (AlgorithmCatalogue.FindAuth(given.Name.ToString()) is not { } row)
        {
            return Outcome.Reject(Errno.ENOSYS, "Requested AUTH_TRUNC algorithm not found");
        }
        if (given.IcvLen > row.FullBits)
        {
            return Outcome.Reject(Errno.EINVAL, "Invalid length requested for truncated ICV");
        }
        sa.AuthId = row.PfKeyId;
        sa.Auth = new SaAuth(row.Name, KeyOf(request.Attributes.Data(XfrmAttr.AlgAuthTrunc), given.KeyLen, Unsafe.SizeOf<XfrmAlgoAuth>()), (int)given.KeyLen,
            given.IcvLen == 0 ? row.DefaultTruncBits : (int)given.IcvLen);
        return Outcome.Ok;
    }

    // attach_auth
    private static Outcome AttachAuth(SecurityAssociation sa, ref XfrmRequest request)
    {
        if (!request.Attributes.TryRead(XfrmAttr.AlgAuth, out XfrmAlgo given))
        {
            return Outcome.Ok;
        }
        if (AlgorithmCatalogue.FindAuth(given.Name.ToString()) is not { } row)
        {
            return Outcome.Reject(Errno.ENOSYS, "Requested AUTH algorithm not found");
        }
        sa.AuthId = row.PfKeyId;
        sa.Auth = new SaAuth(row.Name, KeyOf(request.Attributes.Data(XfrmAttr.AlgAuth), given.KeyLen, Unsafe.SizeOf<XfrmAlgo>()), (int)given.KeyLen, row.DefaultTruncBits);
        return Outcome.Ok;
    }

    // attach_crypt
    private static Outcome AttachCrypt(SecurityAssociation sa, ref XfrmRequest request)
    {
        if (!request.Attributes.TryRead(XfrmAttr.AlgCrypt, out XfrmAlgo given))
        {
            return Outcome.Ok;
        }
        if (AlgorithmCatalogue.FindCipher(given.Name.ToString()) is not { } row)
        {
            return Outcome.Reject(Errno.ENOSYS, "Requested CRYPT algorithm not found");
        }
        sa.CipherId = row.PfKeyId;
        sa.Crypt = new SaCrypt(row.Name, KeyOf(request.Attributes.Data(XfrmAttr.AlgCrypt), given.KeyLen, Unsafe.SizeOf<XfrmAlgo>()), (int)given.KeyLen);
        return Outcome.Ok;
    }

    // attach_one_algo
    private static Outcome AttachComp(SecurityAssociation sa, ref XfrmRequest request)
    {
        if (!request.Attributes.TryRead(XfrmAttr.AlgComp, out XfrmAlgo given))
        {
            return Outcome.Ok;
        }
        if (AlgorithmCatalogue.FindCompression(given.Name.ToString()) is not { } row)
        {
            return Outcome.Reject(Errno.ENOSYS, "Requested COMP algorithm not found");
        }
        sa.CompressionId = row.PfKeyId;
        sa.Comp = new SaComp(row.Name);
        return Outcome.Ok;
    }

    private static SecretKey KeyOf(ReadOnlySpan<byte> attribute, uint bits, int header) => new(attribute.Slice(header, AlgorithmKey.Bytes(bits)));

    // xfrm_smark_init
    private static XfrmMark SetMark(ref XfrmRequest request) => request.Attributes.UInt32(XfrmAttr.SetMark) is { } value
        ? new XfrmMark(value, request.Attributes.UInt32(XfrmAttr.SetMarkMask) ?? uint.MaxValue)
        : default;

    // iptfs_user_init
    private static SaIptfs Iptfs(ref XfrmRequest request)
    {
        SaIptfs defaults = new();
        return new SaIptfs
        {
            DropTime = request.Attributes.UInt32(XfrmAttr.IptfsDropTime) ?? defaults.DropTime,
            ReorderWindow = request.Attributes.TryRead(XfrmAttr.IptfsReorderWindow, out ushort window) ? window : defaults.ReorderWindow,
            DontFragment = request.Attributes.Has(XfrmAttr.IptfsDontFrag),
            InitDelay = request.Attributes.UInt32(XfrmAttr.IptfsInitDelay) ?? defaults.InitDelay,
            MaxQueueSize = request.Attributes.UInt32(XfrmAttr.IptfsMaxQsize) ?? defaults.MaxQueueSize,
            PacketSize = request.Attributes.UInt32(XfrmAttr.IptfsPktSize) ?? defaults.PacketSize,
        };
    }

    // xfrm_alloc_replay_state_esn, xfrm_init_replay, xfrm_update_ae_params
    private static Outcome SetReplay(SecurityAssociation sa, ref XfrmRequest request)
    {
        if (!request.Attributes.TryRead(XfrmAttr.ReplayEsnVal, out XfrmReplayStateEsn given))
        {
            request.Attributes.TryRead(XfrmAttr.ReplayVal, out XfrmReplayStateAbi legacy);
            sa.SetReplay(Legacy(legacy, sa.LegacyReplayWindow));
            return Outcome.Ok;
        }
        if (given.ReplayWindow > given.BmpLen * 32)
        {
            return Outcome.Reject(Errno.EINVAL, "ESN replay window is too large for the chosen bitmap size");
        }
        if (sa.IsEsn && given.ReplayWindow == 0 && sa.Direction != SaDirection.Out)
        {
            return Outcome.Reject(Errno.EINVAL, "ESN replay window must be > 0");
        }
        sa.SetReplay(Extended(given, request.Attributes.Data(XfrmAttr.ReplayEsnVal), sa.IsEsn));
        return Outcome.Ok;
    }

    private static ReplayState Legacy(in XfrmReplayStateAbi given, byte window) => new()
    {
        Mode = ReplayMode.Legacy,
        Oseq = given.Oseq,
        Seq = given.Seq,
        Window = window,
        Bitmap = given.Bitmap == 0 ? NothingReceived : [given.Bitmap],
    };

    // A header alone stands for an empty bitmap.
    private static ReplayState Extended(in XfrmReplayStateEsn given, ReadOnlySpan<byte> attribute, bool esn)
    {
        uint[] bitmap = new uint[given.BmpLen];
        ReadOnlySpan<uint> words = MemoryMarshal.Cast<byte, uint>(attribute[Unsafe.SizeOf<XfrmReplayStateEsn>()..]);
        if (words.Length >= bitmap.Length)
        {
            words[..bitmap.Length].CopyTo(bitmap);
        }
        return new ReplayState
        {
            Mode = esn ? ReplayMode.Esn : ReplayMode.Bitmap,
            Oseq = given.Oseq,
            OseqHi = given.OseqHi,
            Seq = given.Seq,
            SeqHi = given.SeqHi,
            Window = given.ReplayWindow,
            Bitmap = bitmap,
        };
    }

    // xfrm_dev_state_add for a device without ESP offload: what is well formed stays a software SA, save packet offload, which nothing here can do.
    private static Outcome RefuseOffload(SecurityAssociation sa, in XfrmUserOffload offload)
    {
        if (sa.Id.Proto != IpProtocol.Esp)
        {
            return Outcome.Reject(Errno.EINVAL, "Type doesn't support offload");
        }
        if ((offload.Flags & ~(XfrmOffloadFlags.Ipv6 | XfrmOffloadFlags.Inbound | XfrmOffloadFlags.Packet)) != 0)
        {
            return Outcome.Reject(Errno.EINVAL, "Unrecognized flags in offload request");
        }
        bool inbound = (offload.Flags & XfrmOffloadFlags.Inbound) != 0;
        if ((inbound && sa.Direction == SaDirection.Out) || (!inbound && sa.Direction == SaDirection.In))
        {
            return Outcome.Reject(Errno.EINVAL, "Mismatched SA and offload direction");
        }
        if (sa.TfcPad != 0)
        {
            return Outcome.Reject(Errno.EINVAL, "TFC padding can't be offloaded");
        }
        return (offload.Flags & XfrmOffloadFlags.Packet) != 0 ? Errno.EINVAL : Outcome.Ok;
    }
}
