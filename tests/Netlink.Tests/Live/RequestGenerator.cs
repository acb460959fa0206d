using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;

namespace Xfrmd.Netlink.Tests.Live;

/// <summary>
/// Random requests over few addresses, marks and indexes, so that they often meet what an earlier one made: good ones, wrong ones, and
/// ones with bytes changed. Nothing in them needs a transform, which the kernel beneath may not have.
/// </summary>
/// <param name="seed">Of the random numbers.</param>
/// <param name="thresholds">
/// Hash thresholds are set, and nothing is migrated; else the other way round. MIGRATE is the only request for which the order of equal
/// policies counts, and the kernel sorts them anew in a worker, some time after a threshold was set (xfrm_hash_rebuild).
/// </param>
internal sealed class RequestGenerator(int seed, bool thresholds)
{
    private static readonly string[] Addresses = ["10.0.0.1", "10.0.0.2", "10.0.1.1", "0.0.0.0", "2001:db8::1", "2001:db8::2", "::"];
    private const int FirstIpv6 = 4;
    private readonly Random _random = new(seed);
    private uint _seq;

    /// <summary>One datagram: mostly one message, sometimes several.</summary>
    public byte[] Next()
    {
        List<byte> datagram = [];
        byte[] message;
        do
        {
            message = Message();
            datagram.AddRange(message);
        }
        while (!IsDump(message) && Chance(12));
        return [.. datagram];
    }

    private byte[] Message()
    {
        byte[] message = _random.Next(100) switch
        {
            < 24 => Policy(XfrmMsg.NewPolicy),
            < 38 => Policy(XfrmMsg.UpdPolicy),
            < 48 => PolicyId(XfrmMsg.DelPolicy, Flags()),
            < 56 => PolicyId(XfrmMsg.GetPolicy, Flags() & ~NlMsgFlags.Dump),
            < 66 => AllocSpi(),
            < 70 => SaId(XfrmMsg.GetSa),
            < 75 => SaId(XfrmMsg.DelSa),
            < 81 => BadSa(),
            < 83 => PolicyExpire(),
            < 85 => Expire(),
            < 87 => Acquire(),
            < 90 => Aevent(),
            < 93 => thresholds ? Info() : Migrate(),
            < 95 => Info(),
            < 96 => Default(),
            < 98 => Dump(),
            < 99 => Flush(),
            _ => Client.Message(AnyType(), Flags(), ++_seq, new XfrmUserPolicyId { Sel = Selector() }, Attributes(2)),
        };
        if (Chance(25))
        {
            Spoil(message);
        }
        return message;
    }

    private XfrmMsg AnyType()
    {
        XfrmMsg type = (XfrmMsg)_random.Next(14, 44);
        return type == (thresholds ? XfrmMsg.Migrate : XfrmMsg.NewSpdInfo) ? XfrmMsg.GetSpdInfo : type;
    }

    private byte[] Policy(XfrmMsg type)
    {
        XfrmUserPolicyInfo info = PolicyInfo();
        return Client.Message(type, Flags(), ++_seq, info, [.. Templates(info.Sel.Family), .. Attributes(3)]);
    }

    private XfrmUserPolicyInfo PolicyInfo() => new()
    {
        Sel = Selector(),
        Lft = Chance(6) ? XfrmLifetimeCfg.Unlimited(1_000_000) : XfrmLifetimeCfg.Unlimited(),
        Priority = (uint)_random.Next(3),
        Index = Chance(8) ? Index() : 0,
        Dir = Seldom(3, 40),
        Action = Chance(40) ? (byte)2 : (byte)_random.Next(2),
        Flags = Chance(8) ? (byte)_random.Next(256) : (byte)0,
        Share = Chance(20) ? (byte)_random.Next(6) : (byte)0,
    };

    private byte[] PolicyId(XfrmMsg type, NlMsgFlags flags) => Client.Message(type, flags, ++_seq, new XfrmUserPolicyId
    {
        Sel = Selector(),
        Index = Chance(3) ? Index() : 0,
        Dir = Seldom(3, 40),
    }, Attributes(3));

    private byte[] AllocSpi()
    {
        (XfrmAttr, byte[])[] attributes = Attributes(3, sa: true);
        int which = _random.Next(Addresses.Length);
        XfrmUserSaInfo info = SaInfo(Address(which), (byte)(Chance(12) ? 4 : IpProtocol.Esp));
        if (info.Family == AddressFamily.Inet6 && which < FirstIpv6)
        {
            // xfrm_migrate_state_find compares no families: an IPv4 entry finds an IPv6 SA with such an address where the two happen to share
            // a bucket, which depends on how far the kernel's worker is with growing its table.
            info.Family = AddressFamily.Inet;
        }
        // One SPI belongs to one address without mark: Linux 6.17 wants SPIs unique over all, earlier ones do not.
        uint spi = attributes.Any(a => a.Item1 == XfrmAttr.Mark) ? 0x1000000 + _seq : Spi(which, info.Family);
        return Client.Message(XfrmMsg.AllocSpi, Flags(), ++_seq, new XfrmUserSpiInfo { Info = info, Min = Chance(25) ? spi + 1 : spi, Max = spi }, attributes);
    }

    private uint Spi(int address, ushort family) => (uint)((family * 0x10000) + (address * 0x100) + _random.Next(12));

    private XfrmUserSaInfo SaInfo(XfrmAddress daddr, byte proto) => new()
    {
        Sel = Chance(3) ? Selector() : default,
        Id = Id(daddr, 0, proto),
        Saddr = Address(_random.Next(Addresses.Length)),
        Lft = XfrmLifetimeCfg.Unlimited(),
        Family = Chance(20) ? (ushort)_random.Next(12) : Chance(2) ? AddressFamily.Inet : AddressFamily.Inet6,
        Mode = (byte)_random.Next(6),
        Reqid = (uint)_random.Next(2),
        Flags = Chance(5) ? (byte)_random.Next(256) : (byte)0,
        ReplayWindow = Chance(5) ? (byte)_random.Next(256) : (byte)0,
    };

    private static XfrmId Id(XfrmAddress daddr, uint spi, byte proto) => new() { Daddr = daddr, Spi = Be32.From(spi), Proto = proto };

    private XfrmUserSaId UserSaId()
    {
        int which = _random.Next(Addresses.Length);
        ushort family = Chance(2) ? AddressFamily.Inet : AddressFamily.Inet6;
        return new XfrmUserSaId
        {
            Daddr = Address(which),
            Spi = Be32.From(Spi(which, family)),
            Family = family,
            Proto = Chance(8) ? (byte)_random.Next(256) : IpProtocol.Esp,
        };
    }

    private byte[] SaId(XfrmMsg type) => Client.Message(type, Flags() & ~NlMsgFlags.Dump, ++_seq, UserSaId(), Attributes(2, sa: true));

    // A NEWSA that fails its verification at the latest at its end: the mode, or a mapping timer without encapsulation.
    private byte[] BadSa()
    {
        byte[] protocols = [IpProtocol.Esp, IpProtocol.Ah, IpProtocol.Comp, IpProtocol.DstOpts, IpProtocol.Routing, IpProtocol.IpIp];
        XfrmUserSaInfo info = SaInfo(Address(_random.Next(Addresses.Length)), protocols[_random.Next(protocols.Length)]);
        info.Id.Spi = Be32.From((uint)_random.Next(0x20000));
        List<(XfrmAttr, byte[])> attributes = [.. Attributes(2, sa: true)];
        foreach (XfrmAttr algorithm in new[] { XfrmAttr.AlgAuth, XfrmAttr.AlgCrypt, XfrmAttr.AlgComp })
        {
            if (Chance(3))
            {
                attributes.Add((algorithm, [.. Client.Bytes(new XfrmAlgo { KeyLen = (uint)_random.Next(200) }), .. new byte[_random.Next(24)]]));
            }
        }
        foreach (XfrmAttr algorithm in new[] { XfrmAttr.AlgAuthTrunc, XfrmAttr.AlgAead })
        {
            if (Chance(4))
            {
                attributes.Add((algorithm, [.. Client.Bytes(new XfrmAlgoAuth { KeyLen = (uint)_random.Next(200), IcvLen = 96 }), .. new byte[_random.Next(24)]]));
            }
        }
        if (Chance(3))
        {
            attributes.Add((XfrmAttr.ReplayEsnVal, [.. Client.Bytes(new XfrmReplayStateEsn
            {
                BmpLen = (uint)(Chance(10) ? 129 : _random.Next(3)), ReplayWindow = (uint)_random.Next(3) * 32, Seq = Rarely(), SeqHi = Rarely(), Oseq = Rarely(), OseqHi = Rarely(),
            }), .. new byte[4 * _random.Next(4)]]));
        }
        if (Chance(4))
        {
            attributes.Add((XfrmAttr.CoAddr, new byte[16]));
        }
        if (Chance(8))
        {
            attributes.Add((XfrmAttr.TfcPad, Client.Bytes(1500)));
        }
        if (Chance(6))
        {
            attributes.Add((XfrmAttr.SaExtraFlags, Client.Bytes(_random.Next(4))));
        }
        if (Chance(2))
        {
            info.Mode = (byte)(Chance(2) ? 3 : _random.Next(6, 256));
        }
        else
        {
            attributes.RemoveAll(a => a.Item1 == XfrmAttr.Encap);
            attributes.Add((XfrmAttr.MtimerThresh, Client.Bytes(3)));
        }
        return Client.Message(Chance(2) ? XfrmMsg.NewSa : XfrmMsg.UpdSa, Flags(), ++_seq, info, [.. attributes]);
    }

    private static readonly string[] Ciphers = ["cbc(aes)", "cbc(aes)", "rfc3686(ctr(aes))", "ecb(cipher_null)", "aes", "none", ""];
    private static readonly string[] Authentications = ["hmac(sha1)", "hmac(sha256)", "hmac(sha512)", "digest_null", "sha1", "none"];
    private static readonly string[] Combined = ["rfc4106(gcm(aes))", "rfc7539esp(chacha20,poly1305)", "gcm(aes)", ""];
    private static readonly string[] Compressions = ["deflate", "lzs", "none"];

    /// <summary>A NEWSA or UPDSA that may be good.</summary>
    public byte[] NewSa()
    {
        byte[] protocols = [IpProtocol.Esp, IpProtocol.Esp, IpProtocol.Esp, IpProtocol.Ah, IpProtocol.Comp, IpProtocol.DstOpts, IpProtocol.Routing];
        XfrmUserSaInfo info = SaInfo(Address(_random.Next(Addresses.Length)), Chance(30) ? (byte)_random.Next(256) : protocols[_random.Next(protocols.Length)]);
        info.Id.Spi = Be32.From((uint)_random.Next(0x20000));
        info.Mode = Chance(3) ? (byte)_random.Next(7) : (byte)_random.Next(2);
        List<(XfrmAttr, byte[])> attributes = [];
        bool comp = info.Id.Proto == IpProtocol.Comp, aead = Chance(3);
        if (comp ? !Chance(8) : Chance(12))
        {
            attributes.Add((XfrmAttr.AlgComp, Algorithm(Compressions, 0)));
        }
        if (!comp && aead)
        {
            attributes.Add((XfrmAttr.AlgAead, Algorithm(Combined, (uint)_random.Next(5) * 32)));
        }
        if (!comp && !aead && !Chance(6))
        {
            attributes.Add((XfrmAttr.AlgCrypt, Algorithm(Ciphers, 0)));
        }
        if (!comp && !aead && !Chance(4))
        {
            attributes.Add(Chance(2) ? (XfrmAttr.AlgAuth, Algorithm(Authentications, 0)) : (XfrmAttr.AlgAuthTrunc, Algorithm(Authentications, (uint)_random.Next(6) * 32)));
        }
        for (int i = _random.Next(5); i > 0; i--)
        {
            attributes.Add(_random.Next(19) switch
            {
                0 => (XfrmAttr.Encap, Client.Bytes(new XfrmEncapTmpl { EncapType = (ushort)(Chance(4) ? _random.Next(9) : 2), EncapSport = Be16.From(4500), EncapDport = Be16.From(4500) })),
                1 or 2 => (XfrmAttr.SaDir, [(byte)_random.Next(Chance(6) ? 4 : 3)]),
                3 => (XfrmAttr.ReplayEsnVal, [.. Client.Bytes(new XfrmReplayStateEsn
                {
                    BmpLen = (uint)_random.Next(4), ReplayWindow = (uint)_random.Next(5) * 32, Seq = Rarely(), SeqHi = Rarely(), Oseq = Rarely(), OseqHi = Rarely(),
                }), .. new byte[4 * _random.Next(4)]]),
                4 => (XfrmAttr.ReplayVal, Client.Bytes((Rarely(), Rarely(), Rarely()))),
                5 => (XfrmAttr.ReplayThresh, Client.Bytes(_random.Next(4))),
                6 => (XfrmAttr.EtimerThresh, Client.Bytes(_random.Next(4))),
                7 => (XfrmAttr.MtimerThresh, Client.Bytes(_random.Next(4))),
                8 => (XfrmAttr.CoAddr, Client.Bytes(Address(_random.Next(Addresses.Length)))),
                9 => (XfrmAttr.TfcPad, Client.Bytes(_random.Next(3) * 700)),
                10 => (XfrmAttr.SaExtraFlags, Client.Bytes(_random.Next(4))),
                11 => (XfrmAttr.NatKeepaliveInterval, Client.Bytes(_random.Next(30))),
                12 => (XfrmAttr.SaPcpu, Client.Bytes(Chance(2) ? _random.Next(2) : _random.Next())),
                13 => ((XfrmAttr)((int)XfrmAttr.IptfsDropTime + _random.Next(6)), _random.Next(3) switch { 0 => [], 1 => new byte[2], _ => Client.Bytes(_random.Next(70000)) }),
                14 => (XfrmAttr.SetMark, Client.Bytes(_random.Next(3))),
                15 => (XfrmAttr.SetMarkMask, Client.Bytes(_random.Next(3))),
                16 => (XfrmAttr.SecCtx, Client.Bytes(new XfrmUserSecCtx { Len = (ushort)(Chance(3) ? 9 : 8) })),
                17 => (XfrmAttr.LastUsed, new byte[8]),
                _ => (XfrmAttr.LtimeVal, new byte[32]),
            });
        }
        attributes.AddRange(Attributes(1, sa: true));
        byte[] message = Client.Message(Chance(6) ? XfrmMsg.UpdSa : XfrmMsg.NewSa, NlMsgFlags.Ack, ++_seq, info, [.. attributes]);
        if (Chance(12) && message.Length > 16 + 224)
        {
            message[_random.Next(16 + 224, message.Length)] ^= (byte)(1 << _random.Next(8));
        }
        return message;
    }

    /// <param name="names">One of them.</param>
    /// <param name="bits">Of the ICV; 0: the structure without.</param>
    private byte[] Algorithm(string[] names, uint bits)
    {
        byte[] name = new byte[64];
        System.Text.Encoding.ASCII.GetBytes(names[_random.Next(names.Length)]).CopyTo(name, 0);
        uint[] keys = [128, 160, 192, 224, 256, 288, 512, 0, 8, 100];
        uint key = keys[_random.Next(keys.Length)];
        byte[] value = new byte[((key + 7) / 8) + (Chance(15) ? (uint)_random.Next(4) : 0)];
        return [.. name, .. Client.Bytes(key), .. bits == 0 ? [] : Client.Bytes(bits), .. Chance(20) ? value[..(value.Length / 2)] : value];
    }

    private byte[] PolicyExpire() => Client.Message(XfrmMsg.PolExpire, Flags(), ++_seq, new XfrmUserPolExpire { Pol = PolicyInfo(), Hard = (byte)_random.Next(3) }, Attributes(3));

    private byte[] Expire()
    {
        XfrmUserSaId id = UserSaId();
        XfrmUserSaInfo info = SaInfo(id.Daddr, id.Proto);
        (info.Id.Spi, info.Family) = (id.Spi, id.Family);
        return Client.Message(XfrmMsg.Expire, Flags(), ++_seq, new XfrmUserExpire { State = info, Hard = (byte)_random.Next(3) }, Attributes(1));
    }

    private byte[] Acquire()
    {
        XfrmUserPolicyInfo info = PolicyInfo();
        return Client.Message(XfrmMsg.Acquire, Flags(), ++_seq, new XfrmUserAcquire
        {
            Id = Id(Address(0), 5, IpProtocol.Esp),
            Saddr = Address(1),
            Sel = Selector(),
            Policy = info,
            Aalgos = 1,
            Ealgos = 2,
            Calgos = 3,
            Seq = 9,
        }, [.. Templates(info.Sel.Family), .. Attributes(3)]);
    }

    private byte[] Aevent() => Client.Message(Chance(2) ? XfrmMsg.NewAe : XfrmMsg.GetAe, Flags() | (Chance(2) ? NlMsgFlags.Replace : 0), ++_seq, new XfrmAeventId
    {
        SaId = UserSaId(),
        Flags = (XfrmAeFlags)_random.Next(128),
    }, Chance(2) ? [(XfrmAttr.ReplayVal, new byte[12])] : Attributes(2));

    private byte[] Migrate()
    {
        List<byte> entries = [];
        for (int i = _random.Next(8); i > 0; i--)
        {
            entries.AddRange(Client.Bytes(new XfrmUserMigrate
            {
                OldDaddr = Address(_random.Next(3)),
                OldSaddr = Address(_random.Next(3)),
                NewDaddr = Address(_random.Next(3)),
                NewSaddr = Address(_random.Next(Chance(8) ? 4 : 3)),
                Proto = IpProtocol.Esp,
                Mode = (byte)_random.Next(3),
                Reqid = (uint)_random.Next(2),
                OldFamily = AddressFamily.Inet,
                NewFamily = AddressFamily.Inet,
            }));
        }
        List<(XfrmAttr, byte[])> attributes = [.. Attributes(2)];
        if (!Chance(15))
        {
            attributes.Add((XfrmAttr.Migrate, [.. entries]));
        }
        if (Chance(6))
        {
            attributes.Add((XfrmAttr.KmAddress, new byte[40]));
        }
        return Client.Message(XfrmMsg.Migrate, Flags(), ++_seq, new XfrmUserPolicyId { Sel = Selector(), Dir = Seldom(3, 30) }, [.. attributes]);
    }

    private byte[] Info()
    {
        (XfrmAttr, byte[])[] limits = Chance(2) ? [((XfrmAttr)SpdInfoAttr.Ipv4HThresh, [(byte)_random.Next(36), (byte)_random.Next(34)])]
            : [((XfrmAttr)SpdInfoAttr.Ipv6HThresh, [(byte)_random.Next(132), (byte)_random.Next(130)]), ((XfrmAttr)SpdInfoAttr.Ipv4HThresh, new byte[_random.Next(4)])];
        return _random.Next(thresholds ? 3 : 2) switch
        {
            0 => Client.Message(XfrmMsg.GetSadInfo, Flags(), ++_seq, _random.Next()),
            1 => Client.Message(XfrmMsg.GetSpdInfo, Flags(), ++_seq, _random.Next()),
            _ => Client.Message(XfrmMsg.NewSpdInfo, Flags(), ++_seq, 0, limits),
        };
    }

    private byte[] Default() => Client.Message(Chance(2) ? XfrmMsg.SetDefault : XfrmMsg.GetDefault, Flags(), ++_seq, new XfrmUserPolicyDefault
    {
        In = (byte)_random.Next(4),
        Fwd = (byte)_random.Next(4),
        Out = (byte)_random.Next(4),
    });

    private byte[] Dump()
    {
        NlMsgFlags flags = (Flags() & ~NlMsgFlags.Dump) | (Chance(3) ? NlMsgFlags.Root : Chance(3) ? NlMsgFlags.Match : NlMsgFlags.Dump);
        if (Chance(2))
        {
            return Client.Message(XfrmMsg.GetPolicy, flags, ++_seq, new XfrmUserPolicyId());
        }
        XfrmAddressFilter filter = new()
        {
            Saddr = Address(_random.Next(3)),
            Daddr = Address(_random.Next(3)),
            Family = (ushort)(Chance(2) ? 2 : _random.Next(12)),
            Splen = (byte)_random.Next(Chance(8) ? 140 : 33),
            Dplen = (byte)_random.Next(33),
        };
        (XfrmAttr, byte[])[] filters = _random.Next(3) switch
        {
            0 => [],
            1 => [(XfrmAttr.Proto, [Chance(2) ? IpProtocol.IpsecAny : IpProtocol.Esp])],
            _ => [(XfrmAttr.AddressFilter, Client.Bytes(filter)[..(Chance(12) ? 20 : 36)])],
        };
        return Client.Message(XfrmMsg.GetSa, flags, ++_seq, new XfrmUserSaId(), filters);
    }

    private byte[] Flush() => Chance(2)
        ? Client.Message(XfrmMsg.FlushSa, Flags(), ++_seq, (byte)(Chance(2) ? 0 : Chance(2) ? 255 : _random.Next(60)))
        : Client.Message(XfrmMsg.FlushPolicy, Flags(), ++_seq, default(Nothing), Attributes(1));

    private XfrmSelector Selector()
    {
        ushort family = Chance(40) ? (ushort)_random.Next(12) : Chance(3) ? AddressFamily.Inet6 : AddressFamily.Inet;
        int first = family == AddressFamily.Inet6 ? 4 : 0;
        return new XfrmSelector
        {
            Daddr = Address(first + _random.Next(3)),
            Saddr = Address(first + _random.Next(3)),
            Family = family,
            PrefixlenD = Prefix(family),
            PrefixlenS = Prefix(family),
            Proto = Chance(3) ? IpProtocol.Udp : (byte)0,
            Dport = Be16.From((ushort)(Chance(6) ? 500 : 0)),
            DportMask = Be16.From((ushort)(Chance(6) ? 0xffff : 0)),
            Ifindex = Chance(12) ? 1 : 0,
            User = Chance(20) ? 7u : 0,
        };
    }

    private byte Prefix(ushort family) => Chance(40) ? (byte)_random.Next(256) : (byte)(_random.Next(3) switch { 0 => 0, 1 => 24, _ => family == AddressFamily.Inet6 ? 128 : 32 });

    private (XfrmAttr, byte[])[] Templates(ushort family)
    {
        if (Chance(3))
        {
            return [];
        }
        List<byte> bytes = [];
        for (int i = Chance(25) ? _random.Next(9) : _random.Next(3); i > 0; i--)
        {
            PolicyTemplate template = new()
            {
                Id = Id(Address(_random.Next(3)), Chance(4) ? 0x1234u : 0, Chance(20) ? (byte)_random.Next(256) : IpProtocol.Esp),
                Family = Chance(15) ? (ushort)_random.Next(12) : Chance(3) ? (ushort)0 : family,
                Saddr = Address(_random.Next(3)),
                Reqid = (uint)_random.Next(2),
                ModeByte = Chance(20) ? (byte)_random.Next(8) : (byte)_random.Next(2),
                Share = Chance(6) ? (byte)_random.Next(256) : (byte)0,
                Optional = Chance(8) ? (byte)_random.Next(3) : (byte)0,
                Aalgos = Chance(2) ? uint.MaxValue : (uint)_random.Next(),
                Ealgos = uint.MaxValue,
                Calgos = uint.MaxValue,
            };
            bytes.AddRange(Client.Bytes(template));
        }
        bytes.AddRange(new byte[Chance(20) ? _random.Next(64) : 0]);
        return [(XfrmAttr.Tmpl, [.. bytes])];
    }

    private (XfrmAttr, byte[])[] Attributes(int most, bool sa = false)
    {
        List<(XfrmAttr, byte[])> attributes = [];
        for (int i = _random.Next(most + 1); i > 0; i--)
        {
            attributes.Add(_random.Next(sa ? 11 : 9) switch
            {
                0 or 1 => (XfrmAttr.Mark, Client.Bytes(new XfrmMark((uint)_random.Next(3), Chance(2) ? uint.MaxValue : (uint)_random.Next(4)))),
                2 or 3 => (XfrmAttr.IfId, Client.Bytes(_random.Next(3))),
                4 or 5 => (XfrmAttr.PolicyType, [Chance(10) ? (byte)_random.Next(256) : (byte)_random.Next(2), 0, 0, 0, 0, 0]),
                6 => ((XfrmAttr)_random.Next(48), new byte[_random.Next(40)]),
                7 when !sa => (XfrmAttr.SecCtx, Client.Bytes(new XfrmUserSecCtx { Len = (ushort)(Chance(3) ? 9 : 8) })),
                9 or 10 => (XfrmAttr.SaDir, [(byte)_random.Next(1, 3)]),
                _ => (XfrmAttr.SrcAddr, Client.Bytes(Address(_random.Next(3)))),
            });
        }
        // An offloading device is a matter of the machine's.
        attributes.RemoveAll(a => a.Item1 is XfrmAttr.OffloadDev);
        return [.. attributes];
    }

    private NlMsgFlags Flags()
    {
        NlMsgFlags flags = Chance(6) ? NlMsgFlags.None : NlMsgFlags.Ack;
        return Chance(12) ? flags | (NlMsgFlags)(_random.Next(16) << 8 & ~(int)NlMsgFlags.Dump) | NlMsgFlags.Echo : flags;
    }

    private void Spoil(byte[] message)
    {
        switch (_random.Next(3))
        {
            case 0:
                MemoryMarshal.Write(message, (uint)_random.Next(message.Length + 8));
                break;
            case 1 when message.Length > FirstSpoiled(message):
                message[_random.Next(FirstSpoiled(message), message.Length)] ^= (byte)(1 << _random.Next(8));
                break;
            default:
                message[6] ^= 1;   // not a request
                break;
        }
    }

    // Nothing follows a dump: how much of it is walked at once differs.
    private static bool IsDump(byte[] message) =>
        message[4] is (byte)XfrmMsg.GetSa or (byte)XfrmMsg.GetPolicy && (MemoryMarshal.Read<NlMsgHdr>(message).Flags & NlMsgFlags.Dump) != 0;

    // Past the fixed body of most messages: attribute headers and payloads. What an SPI is allocated for stays as it is, and so do
    // lifetimes: the kernel's clock runs, ours stands.
    private static int FirstSpoiled(byte[] message) => (XfrmMsg)message[4] switch
    {
        XfrmMsg.AllocSpi => 248,
        XfrmMsg.NewPolicy or XfrmMsg.UpdPolicy => 168,
        _ => 84,
    };

    private static XfrmAddress Address(int which) => XfrmAddress.Parse(Addresses[which]);

    private uint Index() => (uint)((_random.Next(30) * 8) + _random.Next(3));

    private uint Rarely() => Chance(8) ? (Chance(2) ? 1 : uint.MaxValue) : 0;

    private byte Seldom(int usual, int odds) => Chance(odds) ? (byte)_random.Next(256) : (byte)_random.Next(usual);

    private bool Chance(int odds) => _random.Next(odds) == 0;

    [StructLayout(LayoutKind.Sequential, Size = 0)]
    private readonly struct Nothing;
}
