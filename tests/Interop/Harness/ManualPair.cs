namespace Xfrmd.Interop.Harness;

/// <summary>Two gateways with an xfrmd each and no IKE: keys come from <c>ip xfrm</c>.</summary>
public class ManualPair : IDisposable
{
    public const string Gcm128 = "aead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f10111213 128";
    private const uint ToRight = 0x1001, ToLeft = 0x2002;

    public ManualPair()
        : this([])
    {
    }

    /// <param name="by">A program, with its options, that starts the daemons in its own way.</param>
    protected ManualPair(string[] by)
    {
        Net = new Gateways();
        try
        {
            (LeftDaemon, RightDaemon) = Net.StartDaemons(by);
        }
        catch
        {
            Net.Dispose();
            throw;
        }
    }

    public Gateways Net { get; }

    public XfrmdDaemon LeftDaemon { get; }

    public XfrmdDaemon RightDaemon { get; }

    /// <summary>The same two SAs on both sides.</summary>
    /// <param name="left">Outer address of the left gateway.</param>
    /// <param name="right">Outer address of the right gateway.</param>
    /// <param name="algorithms">As ip xfrm has them.</param>
    /// <param name="mode">tunnel or transport.</param>
    /// <param name="options">More of <c>ip xfrm state add</c>, for instance flags and limits.</param>
    public void AddStates(string left, string right, string algorithms, string mode = "tunnel", string options = "")
    {
        string flag = mode == "tunnel" ? "flag af-unspec" : string.Empty;
        string lines =
            $"state add src {left} dst {right} proto esp spi {ToRight} reqid 1 mode {mode} {flag} {algorithms} {options}\n" +
            $"state add src {right} dst {left} proto esp spi {ToLeft} reqid 1 mode {mode} {flag} {algorithms} {options}\n";
        LeftDaemon.IpXfrmBatch(Net.Left, lines);
        RightDaemon.IpXfrmBatch(Net.Right, lines);
    }

    /// <summary>Policies for one pair of networks, both directions, on both sides.</summary>
    public void AddPolicies(string left, string right, string leftNet, string rightNet, string mode = "tunnel")
    {
        AddPolicies(LeftDaemon, Net.Left, left, right, leftNet, rightNet, mode);
        AddPolicies(RightDaemon, Net.Right, right, left, rightNet, leftNet, mode);
    }

    public void Flush()
    {
        LeftDaemon.IpXfrmBatch(Net.Left, "policy flush\nstate flush");
        RightDaemon.IpXfrmBatch(Net.Right, "policy flush\nstate flush");
    }

    public void Dispose()
    {
        Net.Dispose();
        GC.SuppressFinalize(this);
    }

    private static void AddPolicies(XfrmdDaemon daemon, Host host, string own, string peer, string ownNet, string peerNet, string mode)
    {
        // A transport template names no addresses of its own.
        string outbound = mode == "tunnel" ? $"src {own} dst {peer}" : string.Empty, inbound = mode == "tunnel" ? $"src {peer} dst {own}" : string.Empty;
        daemon.IpXfrmBatch(host,
            $"policy add src {ownNet} dst {peerNet} dir out tmpl {outbound} proto esp reqid 1 mode {mode}\n" +
            $"policy add src {peerNet} dst {ownNet} dir in tmpl {inbound} proto esp reqid 1 mode {mode}\n" +
            (mode == "tunnel" ? $"policy add src {peerNet} dst {ownNet} dir fwd tmpl {inbound} proto esp reqid 1 mode {mode}\n" : string.Empty));
    }
}
