using Xfrmd.Crypto;
using Xfrmd.Datapath.Capture;
using Xfrmd.Datapath.Engine;
using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Tests.Engine;

/// <summary>Two hosts with a tunnel between them, all in memory: 10.1.0.0/24 and fd01::/64 behind 192.0.2.1, 10.2.0.0/24 and fd02::/64 behind 192.0.2.2.</summary>
internal sealed class Tunnel : IDisposable
{
    private const uint SpiAb = 0x1001;
    private static readonly IpIdentifiers Identifiers = new();

    public Tunnel(bool inUdp = false, XfrmMode mode = XfrmMode.Tunnel, int pathMtu = 1500, ulong hardPackets = XfrmLifetimeCfg.Inf, TimeProvider? time = null)
    {
        SourceSpace = new XfrmNamespace(1, time ?? TimeProvider.System);
        TargetSpace = new XfrmNamespace(2, TimeProvider.System);
        string local = mode == XfrmMode.Tunnel ? "192.0.2.1" : "10.1.0.1", peer = mode == XfrmMode.Tunnel ? "192.0.2.2" : "10.2.0.1";
        Outbound = new OutboundWorker(SourceSpace, SourceTun, Wire, new FixedPaths(pathMtu), Identifiers, default, 0, Captures.AddTap());
        Inbound = new InboundWorker(TargetSpace, new Host(), _ => TargetTun, 0, Captures.AddTap());
        lock (SourceSpace.Gate)
        {
            Sa = MakeSa(local, peer, inUdp, mode, hardPackets);
            SourceSpace.Sad.Add(Sa);
            SourceSpace.Spd.Insert(MakePolicy(PolicyDirection.Out, "10.1.0.0", "10.2.0.0", 24, local, peer, mode), exclusive: true);
            if (mode == XfrmMode.Tunnel)
            {
                SourceSpace.Spd.Insert(MakePolicy(PolicyDirection.Out, "fd01::", "fd02::", 64, local, peer, mode), exclusive: true);
            }
        }
        lock (TargetSpace.Gate)
        {
            TargetSa = MakeSa(local, peer, inUdp, mode, XfrmLifetimeCfg.Inf);
            TargetSpace.Sad.Add(TargetSa);
            foreach (PolicyDirection direction in (PolicyDirection[])[PolicyDirection.In, PolicyDirection.Fwd])
            {
                TargetSpace.Spd.Insert(MakePolicy(direction, "10.1.0.0", "10.2.0.0", 24, local, peer, mode), exclusive: true);
                if (mode == XfrmMode.Tunnel)
                {
                    TargetSpace.Spd.Insert(MakePolicy(direction, "fd01::", "fd02::", 64, local, peer, mode), exclusive: true);
                }
            }
        }
    }

    public XfrmNamespace SourceSpace { get; }

    public XfrmNamespace TargetSpace { get; }

    public SecurityAssociation Sa { get; }

    public SecurityAssociation TargetSa { get; }

    public MemoryTun SourceTun { get; } = new();

    public MemoryTun TargetTun { get; } = new();

    public MemoryWire Wire { get; } = new();

    /// <summary>Shows what both workers do.</summary>
    public CaptureHub Captures { get; } = new(TimeProvider.System);

    public OutboundWorker Outbound { get; }

    public InboundWorker Inbound { get; }

    /// <summary>Carries all that waits from one TUN to the other.</summary>
    public void Carry()
    {
        do
        {
            while (Inbound.RunOnce(Wire) > 0)
            {
            }
        }
        while (Outbound.RunOnce() > 0 || Wire.Waiting > 0);
    }

    public void Dispose()
    {
        Outbound.Dispose();
        Inbound.Dispose();
        SourceSpace.Dispose();
        TargetSpace.Dispose();
    }

    private static SecurityAssociation MakeSa(string local, string peer, bool inUdp, XfrmMode mode, ulong hardPackets)
    {
        SecurityAssociation sa = new() { Family = AddressFamily.Inet, Mode = mode, Reqid = 7, Saddr = XfrmAddress.Parse(local) };
        sa.Id.Daddr = XfrmAddress.Parse(peer);
        sa.Id.Spi = Be32.From(SpiAb);
        sa.Id.Proto = IpProtocol.Esp;
        sa.Flags = SaFlags.AfUnspec;
        sa.Lifetime.HardPacketLimit = hardPackets;
        sa.Aead = new SaAead("rfc4106(gcm(aes))", new SecretKey([.. Enumerable.Range(0, 20).Select(i => (byte)i)]), 160, 128);
        if (inUdp)
        {
            sa.Encap = new XfrmEncapTmpl { EncapType = XfrmEncapTmpl.EspInUdp, EncapSport = Be16.From(4500), EncapDport = Be16.From(4500) };
        }
        sa.SetReplay(new ReplayState { Mode = ReplayMode.Bitmap, Window = 256, Bitmap = new uint[8] });
        Assert.True(SaInitializer.Initialize(sa).IsOk);
        return sa;
    }

    private static Policy MakePolicy(PolicyDirection direction, string source, string destination, byte prefix, string local, string peer, XfrmMode mode)
    {
        PolicyTemplate template = new()
        {
            Family = AddressFamily.Inet,
            Reqid = 7,
            ModeByte = (byte)mode,
            Aalgos = uint.MaxValue,
            Ealgos = uint.MaxValue,
            Calgos = uint.MaxValue,
        };
        template.Id.Proto = IpProtocol.Esp;
        if (mode == XfrmMode.Tunnel)
        {
            template.Id.Daddr = XfrmAddress.Parse(peer);
            template.Saddr = XfrmAddress.Parse(local);
        }
        return new Policy
        {
            Direction = direction,
            Selector = new XfrmSelector
            {
                Saddr = XfrmAddress.Parse(source),
                Daddr = XfrmAddress.Parse(destination),
                PrefixlenS = prefix,
                PrefixlenD = prefix,
                Family = source.Contains(':') ? AddressFamily.Inet6 : AddressFamily.Inet,
            },
            TemplateArray = [template],
        };
    }

    private sealed class Host : IInboundHost
    {
        public bool IsLocal(in XfrmAddress daddr, ushort family) => daddr.Bytes[family == AddressFamily.Inet ? 3 : 15] == 1;

        public bool HasInterface(uint ifId) => false;

        public bool ChecksEachTunnel => false;

        public bool HasTunnelDevice(ushort outerFamily, ushort innerFamily) => false;

        public Policy? SocketPolicy(in Flow flow) => null;
    }

    private sealed class FixedPaths(int mtu) : IPaths
    {
        public int OutputInterface(in XfrmAddress daddr, ushort family, uint mark) => 0;

        public int MtuTowards(in XfrmAddress daddr, ushort family, uint mark = 0) => mtu;

        public int Epoch => 0;

        public bool IsHere(in XfrmAddress address, ushort family) => false;

        public XfrmAddress? SourceTowards(in XfrmAddress daddr, ushort family, uint flowMark) => null;

        public void SenderTold(in XfrmAddress daddr, ushort family, int told, int path)
        {
        }
    }
}
