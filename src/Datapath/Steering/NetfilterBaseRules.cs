using Xfrmd.Kernel;
using Xfrmd.Linux;
using Xfrmd.Wire;

namespace Xfrmd.Datapath.Steering;

/// <summary>
/// What stands around the policies' chains: the hooks, the exemptions and the guard. Read beside <c>nft list table inet xfrmd</c>.
/// </summary>
/// <remarks>
/// The hooks, in the order in which a packet meets them:
/// ingress (before anything that looks at marks) takes our bits from arriving packets and gives those that come out of a TUN the mark under
/// which the reverse path leads back there (rp_filter, nftables' fib); forwarded, prerouting and output sit behind destination NAT, as the policy
/// lookup of Linux does: forwarded and input drop plaintext that should have been protected, prerouting and output mark what an out policy covers, a socket's own
/// before all others; forward takes our bits from what leaves a TUN and goes on in clear; translated, behind
/// source NAT, marks what has been forwarded and what an out policy covers by the source that it has now; the guard drops
/// what is marked and yet about to leave by another interface than a TUN, whoever changed the routing (unless it was forwarded and <see cref="Linux.Packets.MarkRedirect"/> takes it into one there), and what would enter a TUN unmarked
/// (the multicast reports of IPv6).
/// </remarks>
internal sealed class NetfilterBaseRules(NetfilterBatch batch, SteeringMarks marks, ushort logGroup)
{
    public const string Devices = "devices", SteeringDevices = "steering-devices", BypassPorts = "bypass-ports", IpsecSet = "ipsec", Redirecting = "redirecting";
    public const string Ingress = "ingress", SocketsOut = "sockets-out", SocketsIn = "sockets-in";
    private const int RawBefore = -301, BehindDestinationNat = -99, BehindForwarded = -98, ForwardFirst = -300, InputLast = 200, BehindSourceNat = 101, PostroutingLast = 301;
    private const uint LoopbackIndex = 1;   // in every network namespace
    private const uint RtnUnicast = 1;
    private const byte PacketHost = 0;   // PACKET_HOST: ip_forward takes no other
    private const int UdpDestinationOffset = 2;
    private const byte NeighbourFirst = 133, NeighbourLast = 137, FragmentHeader = 44;
    private const int FragmentOffsetAt = 2;

    /// <summary>What <c>icmp_send</c> and <c>icmp6_send</c> are asked for, and what of that is looked at on its way (<c>icmp_err_packet</c>).</summary>
    private static readonly (PolicyChainKind Kind, string Set, byte Protocol, byte[] Types)[] ErrorTypes =
    [
        (PolicyChainKind.OutErrors, "icmp-errors", IpProtocol.Icmp, [IcmpView.Unreachable, IcmpView.SourceQuench, IcmpView.Redirect, IcmpView.TimeExceeded, IcmpView.ParameterProblem]),
        (PolicyChainKind.OutErrors, "icmpv6-errors", IpProtocol.Icmpv6, [IcmpView.V6Unreachable, IcmpView.V6PacketTooBig, IcmpView.V6TimeExceeded, IcmpView.V6ParameterProblem]),
        (PolicyChainKind.FwdErrors, "icmp-path-errors", IpProtocol.Icmp, [IcmpView.Unreachable, IcmpView.TimeExceeded]),
        (PolicyChainKind.FwdErrors, "icmpv6-path-errors", IpProtocol.Icmpv6, [IcmpView.V6Unreachable, IcmpView.V6PacketTooBig, IcmpView.V6TimeExceeded]),
    ];

    public static string DefaultChain(PolicyChainKind kind) => NetfilterPolicyChain.NameOf(kind, PolicyType.Main) + "-default";

    /// <param name="log">What is dropped is shown to who listens; the kernel may lack what that takes.</param>
    public void Write(bool log)
    {
        WriteSets();
        foreach (NetfilterDropChain chain in NetfilterDropChain.All)
        {
            WriteDropChain(chain, log);
        }
        foreach (PolicyChainKind kind in Enum.GetValues<PolicyChainKind>())
        {
            batch.AddChain(NetfilterPolicyChain.NameOf(kind, PolicyType.Sub));
            batch.AddChain(NetfilterPolicyChain.NameOf(kind, PolicyType.Main));
            if (NetfilterPolicyChain.IsOfErrors(kind))
            {
                batch.AddChain(ErrorsChain(kind));
                Jumps(ErrorsChain(kind), kind);
            }
            else
            {
                batch.AddChain(DefaultChain(kind));
            }
        }
        foreach (PolicyChainKind kind in Enum.GetValues<PolicyChainKind>().Where(static k => !NetfilterPolicyChain.IsOfErrors(k)))
        {
            string chain = NetfilterPolicyChain.AllowedBySub(kind);
            batch.AddChain(chain);
            // __xfrm_policy_check looks among the in policies whatever the direction.
            PolicyChainKind main = kind == PolicyChainKind.Fwd ? PolicyChainKind.In : kind;
            Rule(chain, () => batch.Jump(NetfilterPolicyChain.NameOf(main, PolicyType.Main)));
            Rule(chain, batch.Accept);
        }
        batch.AddChain(SocketsOut);
        batch.AddChain(SocketsIn);
        WriteIngress();
        WriteForwarded();
        WritePrerouting();
        WriteOutput();
        WriteInput();
        WriteForward();
        WriteTranslated();
        WriteGuard();
    }

    /// <summary>Packets out of this TUN carry the mark under which the reverse path leads into it.</summary>
    public void WriteIngressOf(SteeringDevice device)
    {
        AddDevice(Devices, device);
        if (device.DeviceClass < 0)
        {
            return;   // the user's routes lead into an if_id's device
        }
        AddDevice(SteeringDevices, device);
        Rule(Ingress, () =>
        {
            batch.LoadMeta(0, NetfilterMeta.InputIndex);
            batch.Compare(0, (uint)device.Tun.Ifindex);
            batch.LoadMeta(0, NetfilterMeta.Mark);
            batch.Mask(0, ~marks.Owned, marks.Emerged | marks.Class(device.DeviceClass));
            batch.StoreMark(0);
            batch.Accept();
        });
    }

    /// <summary>The chains of sockets that have policies of their own, and the ways into them: by the class in the mark of what they send, and in theirs.</summary>
    public void WriteWayInto(string outbound, string inbound, int socketClass, bool canMatchSockets)
    {
        batch.AddChain(outbound);
        batch.AddChain(inbound);
        Rule(SocketsOut, () =>
        {
            batch.LoadMeta(0, NetfilterMeta.Mark);
            batch.Mask(0, marks.Owned);
            batch.Compare(0, marks.Class(socketClass));
            ClearMark();
            batch.Jump(outbound);
        });
        if (canMatchSockets)
        {
            Rule(SocketsIn, () =>
            {
                batch.LoadSocketMark(0);
                batch.Mask(0, marks.Owned);
                batch.Compare(0, marks.Class(socketClass));
                batch.Jump(inbound);
            });
        }
    }

    /// <summary>Forgets the name of an if_id's device.</summary>
    public void RemoveDevice(SteeringDevice device) => batch.DeleteElements(Devices, [NameOf(device)]);

    /// <summary>The last word where no policy matches: nothing, or what Linux does with default policy "block".</summary>
    public void WriteDefault(PolicyChainKind kind, NetfilterDropChain chain) => Rule(DefaultChain(kind), () => batch.Jump(chain.Name));

    public static ReadOnlyMemory<byte> Key(BypassPort port) =>
        new byte[] { (byte)port.Family, 0, 0, 0, (byte)(port.Port >> 8), (byte)port.Port, 0, 0 };

    private void WriteSets()
    {
        batch.AddSet(Devices, 1000000, 16, 41, hostOrder: true);      // ifname
        batch.AddSet(SteeringDevices, 1000004, 16, 41, hostOrder: true);
        batch.AddSet(BypassPorts, 1000001, 8, (2 << 6) | 13);         // nf_proto . inet_service
        batch.AddSet(IpsecSet, 1000002, 1, 12);
        batch.AddSet(Redirecting, 1000010, sizeof(int), 20, hostOrder: true);   // iface_index
        batch.AddSet(NetfilterPolicyChain.PortedSet, 1000003, 1, 12);
        const uint IcmpType = 14, Icmpv6Type = 29;
        for (int i = 0; i < ErrorTypes.Length; i++)
        {
            (_, string set, byte protocol, byte[] types) = ErrorTypes[i];
            batch.AddSet(set, 1000005 + (uint)i, 1, protocol == IpProtocol.Icmp ? IcmpType : Icmpv6Type);
            batch.AddElements(set, Bytes(types));
        }
        batch.AddElements(IpsecSet, Bytes([IpProtocol.Esp, IpProtocol.Ah, IpProtocol.Comp]));
        batch.AddElements(NetfilterPolicyChain.PortedSet, Bytes(SelectorExpansion.PortedProtocols));
    }

    /// <summary>While nobody listens, showing costs the limit and a look-up of the listener, of dropped packets only.</summary>
    private void WriteDropChain(NetfilterDropChain chain, bool log)
    {
        const uint ShownPerSecond = 500;
        batch.AddChain(chain.Name);
        if (chain.CounterName is { } counter)
        {
            batch.AddCounter(counter);
            Rule(chain.Name, () => batch.Count(counter));
        }
        if (log)
        {
            Rule(chain.Name, () =>
            {
                batch.Limit(ShownPerSecond);
                batch.Log(logGroup, chain.Name);
            });
        }
        Rule(chain.Name, batch.Drop);
    }

    private void WriteIngress()
    {
        batch.AddBaseChain(Ingress, "filter", NetfilterHook.Prerouting, RawBefore);
        Rule(Ingress, ClearOurMark);
    }

    /// <summary>As in <c>ip_forward</c>: forward policies, then the packet's time to live, then out policies.</summary>
    private void WriteForwarded()
    {
        const string chain = "forwarded";
        batch.AddBaseChain(chain, "filter", NetfilterHook.Prerouting, BehindDestinationNat);
        // Most of what comes out of a TUN tells so by its mark, and asks routing nothing here.
        Rule(chain, () =>
        {
            CompareMark(marks.Emerged);
            batch.Accept();
        });
        Rule(chain, AcceptUnlessForwarded);
        Rule(chain, () =>
        {
            CompareDevice(NetfilterMeta.InputName);
            batch.Accept();
        });
        Jumps(chain, PolicyChainKind.Fwd);
        JumpWithErrors(chain, PolicyChainKind.FwdErrors);
        JumpToDefault(chain, PolicyChainKind.Fwd);
    }

    private void WritePrerouting()
    {
        const string chain = "prerouting";
        batch.AddBaseChain(chain, "filter", NetfilterHook.Prerouting, BehindForwarded);
        Rule(chain, AcceptUnlessForwarded);
        foreach ((ushort family, int ttl) in new[] { (AddressFamily.Inet, 8), (AddressFamily.Inet6, 7) })
        {
            Rule(chain, () =>
            {
                batch.LoadMeta(0, NetfilterMeta.Family);
                batch.Compare(0, [(byte)family]);
                batch.LoadNetwork(0, ttl, 1);
                batch.CompareRange(0, [0], [1]);
                batch.Accept();
            });
        }
        JumpWithErrors(chain, PolicyChainKind.OutErrors);
        Jumps(chain, PolicyChainKind.OutForwarded);
        JumpToDefault(chain, PolicyChainKind.OutForwarded);
    }

    private void WriteOutput()
    {
        const string chain = "output";
        batch.AddBaseChain(chain, "route", NetfilterHook.LocalOut, BehindDestinationNat);
        Rule(chain, () =>
        {
            batch.LoadMeta(0, NetfilterMeta.OutputIndex);
            batch.Compare(0, LoopbackIndex);
            batch.Accept();
        });
        // A protected packet with a mark of its own (XFRMA_SET_MARK) is routed by that alone, and has no other in the hooks behind this one.
        Rule(chain, () =>
        {
            CompareMark(marks.Bypass);
            CompareMark(~marks.Owned);
            ClearMark();
            batch.Accept();
        });
        Rule(chain, () =>
        {
            CompareMark(marks.Bypass);
            batch.Accept();
        });
        Rule(chain, () =>
        {
            CompareMark(marks.ClassMask);
            batch.Jump(SocketsOut);
        });
        Rule(chain, ClearOurMark);
        Rule(chain, () => AcceptBypassPort(0));
        Rule(chain, AcceptNeighbourDiscovery);
        JumpWithErrors(chain, PolicyChainKind.OutErrors);
        Jumps(chain, PolicyChainKind.Out);
        JumpToDefault(chain, PolicyChainKind.Out);
    }

    private void WriteInput()
    {
        const string chain = "input";
        batch.AddBaseChain(chain, "filter", NetfilterHook.LocalIn, InputLast);
        Rule(chain, () =>
        {
            batch.LoadMeta(0, NetfilterMeta.InputIndex);
            batch.Compare(0, LoopbackIndex);
            batch.Accept();
        });
        Rule(chain, () =>
        {
            CompareDevice(NetfilterMeta.InputName);
            ClearMark();
            batch.Accept();
        });
        Rule(chain, () =>
        {
            batch.LoadMeta(0, NetfilterMeta.L4Protocol);
            batch.Lookup(0, IpsecSet);
            batch.Accept();
        });
        // An ICMP error is for the socket that it is about, but icmp_rcv asks no socket's policy.
        Rule(chain, () =>
        {
            batch.LoadMeta(0, NetfilterMeta.L4Protocol);
            batch.Compare(0, [IpProtocol.Icmp], equal: false);
            batch.Compare(0, [IpProtocol.Icmpv6], equal: false);
            batch.Jump(SocketsIn);
        });
        Rule(chain, () => AcceptBypassPort(UdpDestinationOffset));
        Rule(chain, AcceptNeighbourDiscovery);
        Rule(chain, AcceptLaterFragment6);
        Jumps(chain, PolicyChainKind.In);
        JumpToDefault(chain, PolicyChainKind.In);
    }

    private void WriteForward()
    {
        const string chain = "forward";
        batch.AddBaseChain(chain, "filter", NetfilterHook.Forward, ForwardFirst);
        Rule(chain, () =>
        {
            CompareDevice(NetfilterMeta.InputName);
            batch.LoadMeta(0, NetfilterMeta.Mark);
            batch.Mask(0, marks.Steer);
            batch.Compare(0, 0);
            ClearMark();
        });
    }

    /// <summary>
    /// <c>nf_xfrm_me_harder</c>. What netfilter has not changed finds here what it has found in prerouting, where no routing had been done: nothing
    /// that would protect it. Of what this host sends itself only the first look counts: sockets have policies and ports of their own. IPv6 packets of
    /// its own name an input interface too (<c>ip6_xmit</c>), so there nothing is looked at.
    /// </summary>
    private void WriteTranslated()
    {
        const string chain = "translated";
        batch.AddBaseChain(chain, "filter", NetfilterHook.Postrouting, BehindSourceNat);
        Rule(chain, () =>
        {
            batch.LoadMeta(0, NetfilterMeta.InputIndex);
            batch.Compare(0, 0);
            batch.Accept();
        });
        Rule(chain, () =>
        {
            batch.LoadMeta(0, NetfilterMeta.Family);
            batch.Compare(0, [(byte)AddressFamily.Inet], equal: false);
            batch.Accept();
        });
        Rule(chain, () =>
        {
            CompareMark(marks.Owned);
            batch.Accept();
        });
        Rule(chain, () =>
        {
            batch.LoadMeta(0, NetfilterMeta.PacketType);
            batch.Compare(0, [PacketHost], equal: false);
            batch.Accept();
        });
        Jumps(chain, PolicyChainKind.Out);
        JumpToDefault(chain, PolicyChainKind.Out);
    }

    private void WriteGuard()
    {
        const string chain = "guard";
        batch.AddBaseChain(chain, "filter", NetfilterHook.Postrouting, PostroutingLast);
        Rule(chain, () =>
        {
            CompareMark(marks.Steer);
            batch.LoadMeta(0, NetfilterMeta.Family);
            batch.Compare(0, [(byte)AddressFamily.Inet]);
            batch.LoadMeta(0, NetfilterMeta.InputIndex);
            batch.Compare(0, 0, equal: false);
            batch.LoadMeta(0, NetfilterMeta.OutputIndex);
            batch.Lookup(0, Redirecting);
            batch.LoadMeta(0, NetfilterMeta.Mark);
            batch.Mask(0, ~marks.Steer, marks.Emerged);
            batch.StoreMark(0);
            batch.Accept();
        });
        Rule(chain, () =>
        {
            CompareMark(marks.Steer);
            CompareDevice(NetfilterMeta.OutputName, present: false);
            batch.Jump(NetfilterDropChain.Astray.Name);
        });
        Rule(chain, () =>
        {
            batch.LoadMeta(0, NetfilterMeta.Mark);
            batch.Mask(0, marks.Steer);
            batch.Compare(0, 0);
            batch.LoadMeta(0, NetfilterMeta.OutputName);
            batch.Lookup(0, SteeringDevices);
            batch.Drop();
        });
    }

    private void AcceptUnlessForwarded()
    {
        batch.LoadRoute(0, addressType: true);
        batch.Compare(0, RtnUnicast, equal: false);
        batch.Accept();
    }

    private void AddDevice(string set, SteeringDevice device) => batch.AddElements(set, [NameOf(device)]);

    private static ReadOnlyMemory<byte> NameOf(SteeringDevice device)
    {
        byte[] name = new byte[16];
        System.Text.Encoding.ASCII.GetBytes(device.Tun.Name, name);
        return name;
    }

    private void CompareDevice(NetfilterMeta key, bool present = true)
    {
        batch.LoadMeta(0, key);
        batch.Lookup(0, Devices, present);
    }

    /// <summary>The rule goes on only where one of the bits is set.</summary>
    private void CompareMark(uint bits)
    {
        batch.LoadMeta(0, NetfilterMeta.Mark);
        batch.Mask(0, bits);
        batch.Compare(0, 0, equal: false);
    }

    private void ClearOurMark()
    {
        CompareMark(marks.Owned);
        ClearMark();
    }

    private void ClearMark()
    {
        batch.LoadMeta(0, NetfilterMeta.Mark);
        batch.Mask(0, ~marks.Owned);
        batch.StoreMark(0);
    }

    private void AcceptBypassPort(int offset)
    {
        batch.LoadMeta(0, NetfilterMeta.L4Protocol);
        batch.Compare(0, [IpProtocol.Udp]);
        batch.LoadMeta(0, NetfilterMeta.Family);
        batch.LoadTransport(1, offset, 2);
        batch.Lookup(0, BypassPorts);
        batch.Accept();
    }

    /// <summary>
    /// Neighbour discovery never leaves the link (hop limit 255), so a TUN cannot carry it: Linux would send it through the SA, where it
    /// arrives on the interface of the ESP packet; ours would arrive on the TUN, resolve nothing, and the peer could not be reached at all.
    /// </summary>
    private void AcceptNeighbourDiscovery()
    {
        batch.LoadMeta(0, NetfilterMeta.Family);
        batch.Compare(0, [(byte)AddressFamily.Inet6]);
        batch.LoadMeta(0, NetfilterMeta.L4Protocol);
        batch.Compare(0, [IpProtocol.Icmpv6]);
        batch.LoadNetwork(0, 7, 1);
        batch.Compare(0, [255]);
        batch.LoadTransport(0, 0, 1);
        batch.CompareRange(0, [NeighbourFirst], [NeighbourLast]);
        batch.Accept();
    }

    /// <summary>
    /// IPv6 is put together behind this hook, and only the first fragment says what it is a part of: if that is dropped the rest comes to
    /// nothing. A later fragment of AH or of a bypassing port could not be told from any other.
    /// </summary>
    private void AcceptLaterFragment6()
    {
        batch.LoadMeta(0, NetfilterMeta.Family);
        batch.Compare(0, [(byte)AddressFamily.Inet6]);
        batch.LoadExtensionHeader(0, FragmentHeader, FragmentOffsetAt, sizeof(ushort));
        batch.Mask(0, [0xFF, 0xF8]);
        batch.Compare(0, [0, 0], equal: false);
        batch.Accept();
    }

    private void Jumps(string chain, PolicyChainKind kind)
    {
        Rule(chain, () => batch.Jump(NetfilterPolicyChain.NameOf(kind, PolicyType.Sub)));
        Rule(chain, () => batch.Jump(NetfilterPolicyChain.NameOf(kind, PolicyType.Main)));
    }

    private void JumpToDefault(string chain, PolicyChainKind kind) => Rule(chain, () => batch.Jump(DefaultChain(kind)));

    /// <summary>Only ICMP errors meet these chains.</summary>
    private void JumpWithErrors(string chain, PolicyChainKind kind)
    {
        foreach ((_, string set, byte protocol, _) in ErrorTypes.Where(e => e.Kind == kind))
        {
            Rule(chain, () =>
            {
                batch.LoadMeta(0, NetfilterMeta.L4Protocol);
                batch.Compare(0, [protocol]);
                batch.LoadTransport(0, 0, 1);
                batch.Lookup(0, set);
                batch.Jump(ErrorsChain(kind));
            });
        }
    }

    private static string ErrorsChain(PolicyChainKind kind) => NetfilterPolicyChain.NameOf(kind, PolicyType.Main) + "-all";

    private void Rule(string chain, Action expressions)
    {
        batch.BeginRule(chain, NetfilterRulePlace.Last);
        expressions();
        batch.EndRule();
    }

    private static List<ReadOnlyMemory<byte>> Bytes(ReadOnlySpan<byte> values)
    {
        List<ReadOnlyMemory<byte>> keys = [];
        foreach (byte value in values)
        {
            keys.Add(new byte[] { value });
        }
        return keys;
    }
}
