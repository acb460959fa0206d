using Xfrmd.Crypto;
using Xfrmd.Datapath;
using Xfrmd.Datapath.Engine;
using Xfrmd.Datapath.Tests.Engine;
using Xfrmd.Kernel;

namespace Xfrmd.Bench.Engine;

/// <summary>Two hosts with a tunnel of AES-128-GCM between 10.1.0.0/16 and 10.2.0.0/16, all in memory.</summary>
internal sealed class TwoHosts : IDisposable
{
    private readonly XfrmNamespace _left = new(1, TimeProvider.System), _right = new(2, TimeProvider.System);

    public TwoHosts()
    {
        Outbound = new OutboundWorker(_left, LeftTun, Wire, new FixedPaths(), new IpIdentifiers(), default, 0);
        Inbound = new InboundWorker(_right, new Host(), _ => RightTun, 0);
        RightTun.Discards = true;
        lock (_left.Gate)
        {
            _left.Sad.Add(MakeSa());
            _left.Spd.Insert(MakePolicy(PolicyDirection.Out, "10.1.0.0", "10.2.0.0", 16), exclusive: true);
        }
        lock (_right.Gate)
        {
            _right.Sad.Add(MakeSa());
            _right.Spd.Insert(MakePolicy(PolicyDirection.In, "10.1.0.0", "10.2.0.0", 16), exclusive: true);
        }
    }

    public MemoryTun LeftTun { get; } = new();

    public MemoryTun RightTun { get; } = new();

    public MemoryWire Wire { get; } = new();

    public OutboundWorker Outbound { get; }

    public InboundWorker Inbound { get; }

    public static Policy MakePolicy(PolicyDirection direction, string source, string destination, byte prefix)
    {
        PolicyTemplate template = new()
        {
            Family = AddressFamily.Inet,
            Reqid = 7,
            ModeByte = (byte)XfrmMode.Tunnel,
            Aalgos = uint.MaxValue,
            Ealgos = uint.MaxValue,
            Calgos = uint.MaxValue,
            Saddr = XfrmAddress.Parse("192.0.2.1"),
        };
        template.Id.Proto = IpProtocol.Esp;
        template.Id.Daddr = XfrmAddress.Parse("192.0.2.2");
        return new Policy
        {
            Direction = direction,
            Selector = new XfrmSelector
            {
                Saddr = XfrmAddress.Parse(source),
                Daddr = XfrmAddress.Parse(destination),
                PrefixlenS = prefix,
                PrefixlenD = prefix,
                Family = AddressFamily.Inet,
            },
            TemplateArray = [template],
        };
    }

    public void Dispose()
    {
        Outbound.Dispose();
        Inbound.Dispose();
        _left.Dispose();
        _right.Dispose();
    }

    private static SecurityAssociation MakeSa()
    {
        SecurityAssociation sa = new() { Family = AddressFamily.Inet, Mode = XfrmMode.Tunnel, Reqid = 7, Saddr = XfrmAddress.Parse("192.0.2.1"), Flags = SaFlags.AfUnspec };
        sa.Id.Daddr = XfrmAddress.Parse("192.0.2.2");
        sa.Id.Spi = Be32.From(0x1001);
        sa.Id.Proto = IpProtocol.Esp;
        sa.Aead = new SaAead("rfc4106(gcm(aes))", new SecretKey(new byte[20]), 160, 128);
        sa.SetReplay(new ReplayState { Mode = ReplayMode.Bitmap, Window = 256, Bitmap = new uint[8] });
        return SaInitializer.Initialize(sa).IsOk ? sa : throw new InvalidOperationException("the SA was refused");
    }

    private sealed class Host : IInboundHost
    {
        public bool IsLocal(in XfrmAddress daddr, ushort family) => true;

        public bool HasInterface(uint ifId) => false;

        public bool ChecksEachTunnel => false;

        public bool HasTunnelDevice(ushort outerFamily, ushort innerFamily) => false;

        public Policy? SocketPolicy(in Flow flow) => null;
    }

    private sealed class FixedPaths : IPaths
    {
        public int OutputInterface(in XfrmAddress daddr, ushort family, uint mark) => 0;

        public int MtuTowards(in XfrmAddress daddr, ushort family, uint mark = 0) => 1500;

        public int Epoch => 0;

        public bool IsHere(in XfrmAddress address, ushort family) => false;

        public XfrmAddress? SourceTowards(in XfrmAddress daddr, ushort family, uint flowMark) => null;

        public void SenderTold(in XfrmAddress daddr, ushort family, int told, int path)
        {
        }
    }
}
