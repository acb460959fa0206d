namespace Xfrmd.Interop.Harness;

/// <summary>The programs that are not ours. One that is missing fails the test that needs it, by name and Debian package.</summary>
public static class Toolbox
{
    private static readonly Dictionary<string, string> Packages = new()
    {
        ["ip"] = "iproute2",
        ["ping"] = "iputils-ping",
        ["iperf3"] = "iperf3",
        ["tcpdump"] = "tcpdump",
        ["nft"] = "nftables",
        ["tc"] = "iproute2",
        ["swanctl"] = "strongswan-swanctl",
        ["tshark"] = "tshark",
        ["bash"] = "bash",
        ["zsh"] = "zsh",
        ["fish"] = "fish",
        ["python3"] = "python3",
        ["gcc"] = "gcc",
        ["setpriv"] = "util-linux",
        ["unshare"] = "util-linux",
        ["kill"] = "procps",
        ["timeout"] = "coreutils",
        ["/usr/sbin/iked"] = "openiked",
        ["ikectl"] = "openiked",
        ["/usr/lib/ipsec/charon"] = "strongswan-charon",
        ["/usr/sbin/charon-systemd"] = "charon-systemd",
        ["certutil"] = "libnss3-tools",
    };

    private static readonly string[] Folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

    /// <summary>The full path of a Debian program.</summary>
    public static string Find(string program)
    {
        string[] candidates = program.StartsWith('/') ? [program] : [.. Folders.Select(folder => Path.Combine(folder, program))];
        return Array.Find(candidates, File.Exists)
            ?? throw new InteropException($"{program} is missing; apt-get install {Packages.GetValueOrDefault(program, program)}");
    }

    /// <summary>
    /// The full path of a file of a package that is only unpacked: libreswan cannot be installed beside strongSwan, nor two versions of one
    /// program beside each other.
    /// </summary>
    public static string FindAside(string package, string file)
    {
        string path = "/usr/local/lib/xfrmd-tests/" + package + file;
        return File.Exists(path) ? path : throw new InteropException($"{path} is missing; run tests/install-tools.sh");
    }

    /// <summary>The shipped program: <c>XFRMD</c>, or out/xfrmd of this tree.</summary>
    public static string Xfrmd
    {
        get
        {
            string path = Environment.GetEnvironmentVariable("XFRMD") ?? Path.Combine(Repository.Root, "out", "xfrmd");
            return File.Exists(path) ? path : throw new InteropException($"{path} is missing; run `make publish`");
        }
    }
}
