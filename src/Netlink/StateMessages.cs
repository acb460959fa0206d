using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xfrmd.Crypto;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;
using Xfrmd.Netlink.Codec;

namespace Xfrmd.Netlink;

/// <summary>The messages that tell of SAs, attribute for attribute in the kernel's order.</summary>
internal static class StateMessages
{
    /// <summary>NEWSA or UPDSA: <c>dump_one_state</c>.</summary>
    public static void WriteState(NlWriter writer, XfrmMsg type, NlMsgFlags flags, uint seq, uint portId, SecurityAssociation sa)
    {
        int start = writer.BeginMessage(type, flags, seq, portId, InfoOf(sa));
        WriteStateAttributes(writer, sa);
        writer.EndMessage(start);
    }

    /// <summary>DELSA: <c>xfrm_notify_sa</c>.</summary>
    public static void WriteDelete(NlWriter writer, uint seq, uint portId, SecurityAssociation sa)
    {
        int start = writer.BeginMessage(XfrmMsg.DelSa, NlMsgFlags.None, seq, portId, IdOf(sa));
        writer.Put(XfrmAttr.Sa, InfoOf(sa));
        WriteStateAttributes(writer, sa);
        writer.EndMessage(start);
    }

    /// <summary>EXPIRE: <c>build_expire</c>.</summary>
    public static void WriteExpire(NlWriter writer, uint portId, SecurityAssociation sa, bool hard, SaCounts? counts)
    {
        XfrmUserSaInfo state = InfoOf(sa);
        if (counts is { } then)
        {
            (state.Curlft, state.Stats) = (then.Lifetime, then.Stats);
        }
        int start = writer.BeginMessage(XfrmMsg.Expire, NlMsgFlags.None, 0, portId, new XfrmUserExpire { State = state, Hard = hard ? (byte)1 : (byte)0 });
        WriteMark(writer, sa.Mark);
        WriteIfId(writer, sa.IfId);
        WritePlace(writer, sa);
        writer.EndMessage(start);
    }

    /// <summary>NEWAE: <c>build_aevent</c>.</summary>
    public static void WriteAevent(NlWriter writer, uint seq, uint portId, SecurityAssociation sa, XfrmAeFlags flags, ReplayState replay, XfrmLifetimeCur? lifetime = null)
    {
        int start = writer.BeginMessage(XfrmMsg.NewAe, NlMsgFlags.None, seq, portId, new XfrmAeventId
        {
            SaId = IdOf(sa),
            Saddr = sa.Saddr,
            Reqid = sa.Reqid,
            Flags = flags,
        });
        WriteReplay(writer, replay);
        writer.Put(XfrmAttr.LtimeVal, lifetime ?? sa.CurrentLifetime);
        if ((flags & XfrmAeFlags.ReplayThreshold) != 0)
        {
            writer.Put(XfrmAttr.ReplayThresh, sa.ReplayMaxDiff);
        }
        if ((flags & XfrmAeFlags.EtimerThreshold) != 0)
        {
            writer.Put(XfrmAttr.EtimerThresh, unchecked(sa.ReplayMaxAge * 10) / SecurityAssociation.JiffiesPerSecond);
        }
        WriteMark(writer, sa.Mark);
        WriteIfId(writer, sa.IfId);
        WritePlace(writer, sa);
        writer.EndMessage(start);
    }

    /// <summary>MAPPING: <c>build_mapping</c>.</summary>
    public static void WriteMapping(NlWriter writer, SecurityAssociation sa, in XfrmEncapTmpl encap, in XfrmAddress newAddress, Be16 newPort)
    {
        int start = writer.BeginMessage(XfrmMsg.Mapping, NlMsgFlags.None, 0, 0, new XfrmUserMapping
        {
            Id = IdOf(sa),
            Reqid = sa.Reqid,
            OldSaddr = sa.Saddr,
            NewSaddr = newAddress,
            OldSport = encap.EncapSport,
            NewSport = newPort,
        });
        writer.EndMessage(start);
    }

    /// <summary><c>xfrm_mark_put</c>.</summary>
    public static void WriteMark(NlWriter writer, XfrmMark mark)
    {
        if (mark.IsSet)
        {
            writer.Put(XfrmAttr.Mark, mark);
        }
    }

    /// <summary><c>xfrm_if_id_put</c>.</summary>
    public static void WriteIfId(NlWriter writer, uint ifId)
    {
        if (ifId != 0)
        {
            writer.Put(XfrmAttr.IfId, ifId);
        }
    }

    // copy_to_user_state
    private static XfrmUserSaInfo InfoOf(SecurityAssociation sa) => new()
    {
        Sel = sa.Selector,
        Id = sa.Id,
        Saddr = sa.Saddr,
        Lft = sa.Lifetime,
        Curlft = sa.CurrentLifetime,
        Stats = sa.Stats,
        Seq = sa.KmSeq,
        Reqid = sa.Reqid,
        Family = sa.Family,
        Mode = (byte)sa.Mode,
        ReplayWindow = sa.LegacyReplayWindow,
        Flags = (byte)sa.Flags,
    };

    private static XfrmUserSaId IdOf(SecurityAssociation sa) => new() { Daddr = sa.Id.Daddr, Spi = sa.Id.Spi, Family = sa.Family, Proto = sa.Id.Proto };

    // copy_to_user_state_extra
    private static void WriteStateAttributes(NlWriter writer, SecurityAssociation sa)
    {
        if (sa.ExtraFlags != SaExtraFlags.None)
        {
            writer.Put(XfrmAttr.SaExtraFlags, (uint)sa.ExtraFlags);
        }
        if (sa.CareOfAddress is { } careOf)
        {
            writer.Put(XfrmAttr.CoAddr, careOf);
        }
        if (sa.LastUsed != 0)
        {
            writer.Put(XfrmAttr.LastUsed, sa.LastUsed);
        }
        WriteAlgorithms(writer, sa);
        if (sa.Encap is { } encap)
        {
            writer.Put(XfrmAttr.Encap, encap);
        }
        if (sa.TfcPad != 0)
        {
            writer.Put(XfrmAttr.TfcPad, sa.TfcPad);
        }
        WriteMark(writer, sa.Mark);
        if (sa.SetMark.IsSet)
        {
            writer.Put(XfrmAttr.SetMark, sa.SetMark.V);
            writer.Put(XfrmAttr.SetMarkMask, sa.SetMark.M);
        }
        WriteReplay(writer, sa.Replay.Snapshot());
        WriteIfId(writer, sa.IfId);
        if (sa.Iptfs is { } iptfs)
        {
            WriteIptfs(writer, iptfs, sa.Direction);
        }
        if (sa.MappingMaxAge != 0)
        {
            writer.Put(XfrmAttr.MtimerThresh, sa.MappingMaxAge);
        }
        WritePlace(writer, sa);
        if (sa.NatKeepaliveInterval != 0)
        {
            writer.Put(XfrmAttr.NatKeepaliveInterval, sa.NatKeepaliveInterval);
        }
    }

    private static void WriteAlgorithms(NlWriter writer, SecurityAssociation sa)
    {
        if (sa.Aead is { } aead)
        {
            WriteAlgorithm(writer, XfrmAttr.AlgAead, new XfrmAlgoAuth { Name = XfrmAlgName.From(aead.Name), KeyLen = (uint)aead.KeyBits, IcvLen = (uint)aead.IcvBits }, aead.Key);
        }
        if (sa.Auth is { } auth)
        {
            // Both forms: clients from before XFRMA_ALG_AUTH_TRUNC read the first (copy_to_user_auth).
            WriteAlgorithm(writer, XfrmAttr.AlgAuth, new XfrmAlgo { Name = XfrmAlgName.From(auth.Name), KeyLen = (uint)auth.KeyBits }, auth.Key);
            WriteAlgorithm(writer, XfrmAttr.AlgAuthTrunc, new XfrmAlgoAuth { Name = XfrmAlgName.From(auth.Name), KeyLen = (uint)auth.KeyBits, IcvLen = (uint)auth.TruncBits }, auth.Key);
        }
        if (sa.Crypt is { } crypt)
        {
            WriteAlgorithm(writer, XfrmAttr.AlgCrypt, new XfrmAlgo { Name = XfrmAlgName.From(crypt.Name), KeyLen = (uint)crypt.KeyBits }, crypt.Key);
        }
        if (sa.Comp is { } comp)
        {
            writer.Put(XfrmAttr.AlgComp, new XfrmAlgo { Name = XfrmAlgName.From(comp.Name) });
        }
    }

    private static void WriteAlgorithm<T>(NlWriter writer, XfrmAttr type, in T header, SecretKey key) where T : unmanaged
    {
        Span<byte> payload = writer.Attribute((ushort)type, Unsafe.SizeOf<T>() + key.Length);
        MemoryMarshal.Write(payload, header);
        key.Span.CopyTo(payload[Unsafe.SizeOf<T>()..]);
    }

    private static void WriteReplay(NlWriter writer, ReplayState replay)
    {
        if (replay.Mode == ReplayMode.Legacy)
        {
            writer.Put(XfrmAttr.ReplayVal, new XfrmReplayStateAbi { Oseq = replay.Oseq, Seq = replay.Seq, Bitmap = replay.Bitmap.Count == 0 ? 0 : replay.Bitmap[0] });
            return;
        }
        int header = Unsafe.SizeOf<XfrmReplayStateEsn>();
        Span<byte> payload = writer.Attribute((ushort)XfrmAttr.ReplayEsnVal, header + (sizeof(uint) * replay.Bitmap.Count));
        MemoryMarshal.Write(payload, new XfrmReplayStateEsn
        {
            BmpLen = (uint)replay.Bitmap.Count,
            Oseq = replay.Oseq,
            Seq = replay.Seq,
            OseqHi = replay.OseqHi,
            SeqHi = replay.SeqHi,
            ReplayWindow = replay.Window,
        });
        for (int i = 0; i < replay.Bitmap.Count; i++)
        {
            MemoryMarshal.Write(payload[(header + (sizeof(uint) * i))..], replay.Bitmap[i]);
        }
    }

    // iptfs_copy_to_user
    private static void WriteIptfs(NlWriter writer, SaIptfs iptfs, SaDirection direction)
    {
        if (direction == SaDirection.In)
        {
            writer.Put(XfrmAttr.IptfsDropTime, iptfs.DropTime);
            writer.Put(XfrmAttr.IptfsReorderWindow, iptfs.ReorderWindow);
            return;
        }
        if (iptfs.DontFragment)
        {
            writer.Attribute((ushort)XfrmAttr.IptfsDontFrag, 0);
        }
        writer.Put(XfrmAttr.IptfsInitDelay, iptfs.InitDelay);
        writer.Put(XfrmAttr.IptfsMaxQsize, iptfs.MaxQueueSize);
        writer.Put(XfrmAttr.IptfsPktSize, iptfs.PacketSize);
    }

    private static void WritePlace(NlWriter writer, SecurityAssociation sa)
    {
        if (sa.Pcpu is { } cpu)
        {
            writer.Put(XfrmAttr.SaPcpu, cpu);
        }
        if (sa.Direction != SaDirection.None)
        {
            writer.Put(XfrmAttr.SaDir, (byte)sa.Direction);
        }
    }
}
