namespace Xfrmd.Interop.Harness;

/// <summary>Two gateways, each with its own xfrmd and its own charon: what most scenarios start from.</summary>
public sealed class CharonPair : IDisposable
{
    /// <summary>As a class fixture: everything plain.</summary>
    public CharonPair() : this(Middle.Bridge, strictReversePath: false, Charon.DefaultProgram, options: "", shared: false)
    {
    }

    private CharonPair(Middle middle, bool strictReversePath, string program, string options, bool shared)
    {
        Net = new Gateways(middle, strictReversePath);
        try
        {
            if (shared)
            {
                LeftDaemon = RightDaemon = new XfrmdDaemon(Net.Lab.AddHost("daemon"), Net.Lab.Folder);
            }
            else
            {
                (LeftDaemon, RightDaemon) = Net.StartDaemons();
            }
            Left = new Charon(Net.Left, LeftDaemon, Net.Lab.Folder, program, options);
            Right = new Charon(Net.Right, RightDaemon, Net.Lab.Folder, program, options);
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

    public Charon Left { get; }

    public Charon Right { get; }

    /// <summary>A pair that is not plain.</summary>
    /// <param name="middle">What stands between the gateways.</param>
    /// <param name="strictReversePath">rp_filter is strict on both gateways.</param>
    /// <param name="program">charon or charon-systemd.</param>
    /// <param name="options">Lines for charon's section of strongswan.conf, after Debian's own.</param>
    /// <param name="shared">One daemon serves both gateways.</param>
    public static CharonPair Create(Middle middle = Middle.Bridge, bool strictReversePath = false, string program = Charon.DefaultProgram, string options = "", bool shared = false) =>
        new(middle, strictReversePath, program, options, shared);

    /// <summary>Loads the same connection, mirrored, into both.</summary>
    /// <param name="leftAddress">Outer address of the left gateway.</param>
    /// <param name="rightAddress">Outer address of the right gateway.</param>
    /// <param name="connectionOptions">Lines for the connection on both sides.</param>
    /// <param name="children">CHILD_SAs as (name, left selectors, right selectors, options).</param>
    public void Load(string leftAddress, string rightAddress, string connectionOptions, params (string Name, string LeftTs, string RightTs, string Options)[] children)
    {
        Left.Load(Swanctl.File(Swanctl.Connection("site", leftAddress, rightAddress, connectionOptions, [.. children.Select(c => Swanctl.Child(c.Name, c.LeftTs, c.RightTs, c.Options))])));
        Right.Load(Swanctl.File(Swanctl.Connection("site", rightAddress, leftAddress, connectionOptions, [.. children.Select(c => Swanctl.Child(c.Name, c.RightTs, c.LeftTs, c.Options))])));
    }

    /// <summary>Ends every connection.</summary>
    public void CloseAll()
    {
        foreach (Charon charon in new[] { Left, Right })
        {
            charon.Load(Swanctl.File());
        }
        foreach (Charon charon in new[] { Left, Right })
        {
            charon.TerminateAll();
        }
        Wait.Until(() => Left.ListSas().Length == 0 && Right.ListSas().Length == 0, "all IKE_SAs are gone");
    }

    /// <summary>Ends every connection; afterwards neither kernel interface holds anything, and charon has complained of nothing.</summary>
    public void Reset()
    {
        CloseAll();
        AssertEmpty(LeftDaemon, Net.Left);
        AssertEmpty(RightDaemon, Net.Right);
        Left.AssertNoKernelErrors();
        Right.AssertNoKernelErrors();
    }

    public void Dispose() => Net.Dispose();

    private static void AssertEmpty(XfrmdDaemon daemon, Host host)
    {
        // SAs that were asked for and never came (spi 0) stay for net.core.xfrm_acq_expires seconds, as in Linux.
        Assert.DoesNotMatch("spi 0x0*[1-9a-f]", daemon.IpXfrm(host, "state"));
        Assert.Equal(string.Empty, daemon.IpXfrm(host, "policy list nosock"));
    }
}
