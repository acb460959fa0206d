namespace Xfrmd.Interop.Harness;

/// <summary>Writes swanctl.conf files.</summary>
public static class Swanctl
{
    /// <summary>The one secret that all scenarios share.</summary>
    public const string Secret = "correct horse battery staple";

    private const string Secrets = "secrets {\n  ike {\n    secret = \"" + Secret + "\"\n  }\n}\n";

    /// <summary>A whole file with the one secret that all scenarios share.</summary>
    public static string File(params string[] connections) => $"connections {{\n{string.Join('\n', connections)}\n}}\n{Secrets}";

    /// <summary>A whole file with pools of virtual addresses.</summary>
    public static string FileWithPools(string pools, params string[] connections) => $"{File(connections)}pools {{\n{pools}\n}}\n";

    /// <param name="name">Of the connection.</param>
    /// <param name="local">Own outer addresses.</param>
    /// <param name="remote">The peer's outer addresses, or %any.</param>
    /// <param name="options">More lines, parted by semicolons.</param>
    /// <param name="children">What <see cref="Child"/> made.</param>
    public static string Connection(string name, string local, string remote, string options, params string[] children) =>
        $"  {name} {{\n    version = 2\n    local_addrs = {local}\n    remote_addrs = {remote}\n    {Lines(options)}\n" +
        $"    local {{\n      auth = psk\n    }}\n    remote {{\n      auth = psk\n    }}\n    children {{\n{string.Join('\n', children)}\n    }}\n  }}";

    /// <param name="name">Of the CHILD_SA.</param>
    /// <param name="localTs">Local traffic selectors, or empty for the default (the outer address, or the virtual one).</param>
    /// <param name="remoteTs">Remote traffic selectors, or empty.</param>
    /// <param name="options">More lines, parted by semicolons.</param>
    public static string Child(string name, string localTs, string remoteTs, string options = "") =>
        $"      {name} {{\n        {Selector("local_ts", localTs)}\n        {Selector("remote_ts", remoteTs)}\n        {Lines(options)}\n      }}";

    private static string Selector(string key, string value) => value.Length == 0 ? string.Empty : $"{key} = {value}";

    private static string Lines(string options) => options.Replace(';', '\n');
}
