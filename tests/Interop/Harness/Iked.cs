using System.Globalization;
using System.Text.RegularExpressions;

namespace Xfrmd.Interop.Harness;

/// <summary>Debian's OpenIKED, attached to xfrmd. It speaks PF_KEY, through a descriptor that it hands to a chrooted child of another uid.</summary>
public sealed partial class Iked
{
    private const string Program = "/usr/sbin/iked", ControlSocket = "iked.sock";
    private static int _count;
    private readonly Host _host;

    /// <param name="host">Where it runs.</param>
    /// <param name="daemon">What it is attached to.</param>
    /// <param name="folder">Takes its configuration.</param>
    /// <param name="configuration">Lines of iked.conf(5).</param>
    public Iked(Host host, XfrmdDaemon daemon, string folder, string configuration)
    {
        _host = host;
        string file = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{host.Name}-iked-{Interlocked.Increment(ref _count)}.conf"));
        File.WriteAllText(file, configuration);
        // It reads nothing that others may read.
        Command.Run([Toolbox.Find("chmod"), "600", file]).OrFail();
        File.Delete(Path.Combine(host.RunFolder, ControlSocket));
        Process = host.Start("iked", daemon.Attached(Toolbox.Find(Program), "-d", "-vv", "-f", file));
        Wait.Until(() => Process.HasExited || File.Exists(Path.Combine(host.RunFolder, ControlSocket)), $"{Process.Name} opens its control socket");
        // What comes before it has read its configuration whole, whose last lines these are, it forgets again.
        Wait.Until(() => Process.HasExited || Process.Log.Contains("stickyaddress", StringComparison.Ordinal), $"{Process.Name} has read its configuration");
        Assert.False(Process.HasExited, $"{Process.Name} ended:\n{Process.Log}");
    }

    public BackgroundProcess Process { get; }

    /// <summary>How many pairs of SAs it says it has loaded.</summary>
    public int Loaded => Process.Log.Split("loaded SPIs:").Length - 1;

    /// <summary>A policy with the secret that all scenarios share. The identities are the outer addresses.</summary>
    /// <param name="options">What stands before the traffic selectors: active or passive, transport, ah…</param>
    /// <param name="selectors">"from … to …", as often as wanted.</param>
    /// <param name="local">Own outer address.</param>
    /// <param name="peer">The peer's outer address.</param>
    /// <param name="more">What stands before the identities: algorithms.</param>
    /// <param name="lifetime">Seconds after which a CHILD_SA ends; it is replaced before.</param>
    /// <param name="localId">Own identity, where it is not the address.</param>
    /// <param name="peerId">The peer's identity, where it is not the address.</param>
    public static string Policy(string options, string selectors, string local, string peer, string more = "", int? lifetime = null, string? localId = null, string? peerId = null) =>
        $"ikev2 \"site\" {options} {selectors} local {local} peer {peer} {more} srcid {localId ?? local} dstid {peerId ?? peer} "
        + (lifetime is { } seconds ? string.Create(CultureInfo.InvariantCulture, $"lifetime {seconds} ") : string.Empty)
        + $"psk \"{Swanctl.Secret}\"\n";

    /// <summary>Waits until it has loaded so many pairs of SAs.</summary>
    public void WaitForSas(int count = 1, TimeSpan? timeout = null) => Wait.Until(() => Loaded >= count, $"{Process.Name} has loaded {count} pairs of SAs", timeout);

    /// <summary>Runs ikectl(8).</summary>
    public void Ikectl(params string[] arguments) => _host.Do([Toolbox.Find("ikectl"), .. arguments]);

    /// <summary>PF_KEY has answered in time and refused nothing.</summary>
    public void AssertNoKernelErrors()
    {
        string[] complaints = [.. Process.Log.Split('\n').Where(line => KernelComplaint().IsMatch(line))];
        Assert.True(complaints.Length == 0, $"{Process.Name} complains:\n{string.Join('\n', complaints)}");
    }

    [GeneratedRegex("^pfkey_.*(no reply|fail|invalid|unsupported|erroneous|short|message)|failed to load|setting UDP encap|set UDP encap")]
    private static partial Regex KernelComplaint();
}
