namespace Xfrmd.Interop.Harness;

/// <summary>Debian's tshark reads a capture.</summary>
public static class Tshark
{
    /// <summary>The named fields of each packet.</summary>
    /// <param name="file">pcap or pcapng.</param>
    /// <param name="espTable">Lines of Wireshark's esp_sa table; none: nothing is decrypted.</param>
    /// <param name="fields">Names of fields.</param>
    public static IReadOnlyList<IReadOnlyList<string>> Read(string file, IEnumerable<string> espTable, params string[] fields)
    {
        string[] table = [.. espTable];
        string[] decode = table.Length == 0 ? [] : ["-o", "esp.enable_encryption_decode:TRUE", "-o", "esp.enable_authentication_check:TRUE"];
        CommandResult result = Command.Run(
        [
            Toolbox.Find("tshark"), "-r", file, .. decode, .. table.SelectMany(line => new[] { "-o", "uat:esp_sa:" + line }),
            "-T", "fields", "-E", "occurrence=f", .. fields.SelectMany(field => new[] { "-e", field }),
        ]);
        return [.. result.OrFail().Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => (IReadOnlyList<string>)line.Split('\t'))];
    }
}
