using Microsoft.Extensions.Logging.Abstractions;
using Xfrmd.Cli.Control;
using Xfrmd.Crypto;
using Xfrmd.Datapath.Capture;
using Xfrmd.Datapath.Steering;
using Xfrmd.Kernel;

namespace Xfrmd.Cli.Tests;

/// <summary>A control socket with one namespace behind it, in memory: 10.1.0.0/16 at 192.0.2.1, 10.2.0.0/16 at 192.0.2.2.</summary>
internal sealed class TestDaemon : INamespaceDirectory, INamespaceView, IDisposable
{
    public const string Key = "000102030405060708090a0b0c0d0e0f10111213";
    private readonly string _folder = Directory.CreateTempSubdirectory("xfrmd-cli-").FullName;
    private readonly ControlServer _server;

    public TestDaemon()
    {
        Socket = Path.Combine(_folder, "s");
        _server = ControlServer.Start(Socket, this, NullLogger.Instance);
    }

    public string Socket { get; }

    public XfrmNamespace Space { get; } = new(1, TimeProvider.System);

    public IReadOnlyList<string> Devices => ["ipsec0"];

    public IReadOnlyList<string> RawEspPaths => ["to 192.0.2.2: directly"];

    public CaptureHub Captures { get; } = new(TimeProvider.System);

    public ISteering? Steering => null;

    public List<BypassPort> Bypassing { get; } = [];

    public IReadOnlyCollection<BypassPort> BypassPorts => Bypassing;

    public int? PathMtu(in XfrmAddress daddr, ushort family) => 1500;

    public bool SharesUdpPort(in XfrmAddress saddr, ushort family, ushort port) => false;

    public INamespaceView? Find(ulong inode, int processId) => this;

    public Terminal Ask(string command, params string[] options) => Terminal.Type([command, "--socket", Socket, .. options]);

    public SecurityAssociation AddSa(uint spi, string source, string destination, uint reqid = 1, Action<SecurityAssociation>? change = null)
    {
        SecurityAssociation sa = new() { Family = AddressFamily.Inet, Mode = XfrmMode.Tunnel, Reqid = reqid, Saddr = XfrmAddress.Parse(source) };
        sa.Id.Daddr = XfrmAddress.Parse(destination);
        sa.Id.Spi = Be32.From(spi);
        sa.Id.Proto = IpProtocol.Esp;
        sa.Flags = SaFlags.AfUnspec;
        sa.Aead = new SaAead("rfc4106(gcm(aes))", new SecretKey(Convert.FromHexString(Key)), 160, 128);
        change?.Invoke(sa);
        Assert.Equal(Errno.None, SaInitializer.Initialize(sa).Errno);
        lock (Space.Gate)
        {
            Assert.Equal(Errno.None, Space.Sad.Add(sa).Errno);
        }
        return sa;
    }

    public Policy AddPolicy(PolicyDirection direction, string source, string destination, PolicyAction action = PolicyAction.Allow, uint ifId = 0)
    {
        bool isOut = direction == PolicyDirection.Out;
        PolicyTemplate template = new()
        {
            Family = AddressFamily.Inet,
            ModeByte = (byte)XfrmMode.Tunnel,
            Reqid = 1,
            Saddr = XfrmAddress.Parse(isOut ? "192.0.2.1" : "192.0.2.2"),
            Aalgos = uint.MaxValue,
            Ealgos = uint.MaxValue,
            Calgos = uint.MaxValue,
        };
        template.Id.Daddr = XfrmAddress.Parse(isOut ? "192.0.2.2" : "192.0.2.1");
        template.Id.Proto = IpProtocol.Esp;
        Policy policy = new()
        {
            Direction = direction,
            Selector = new XfrmSelector { Family = AddressFamily.Inet, Saddr = XfrmAddress.Parse(source), Daddr = XfrmAddress.Parse(destination), PrefixlenS = 16, PrefixlenD = 16 },
            Action = action,
            IfId = ifId,
            TemplateArray = action == PolicyAction.Block ? [] : [template],
        };
        lock (Space.Gate)
        {
            Assert.Equal(Errno.None, Space.Spd.Insert(policy, exclusive: true).Errno);
        }
        return policy;
    }

    /// <summary>A tunnel in both directions.</summary>
    public void AddTunnel()
    {
        AddSa(0x1001, "192.0.2.1", "192.0.2.2");
        AddSa(0x2002, "192.0.2.2", "192.0.2.1");
        AddPolicies();
    }

    public void AddPolicies()
    {
        AddPolicy(PolicyDirection.Out, "10.1.0.0", "10.2.0.0");
        AddPolicy(PolicyDirection.In, "10.2.0.0", "10.1.0.0");
        AddPolicy(PolicyDirection.Fwd, "10.2.0.0", "10.1.0.0");
    }

    public void Dispose()
    {
        _server.Dispose();
        Space.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
