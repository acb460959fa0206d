using System.Text.Json.Serialization.Metadata;

namespace Xfrmd.Cli.Control;

/// <summary>Questions that have one answer.</summary>
internal static class Daemon
{
    public static T Ask<T>(string socket, ControlRequest request, JsonTypeInfo<T> type) where T : class
    {
        using ControlClient client = new(socket);
        client.Ask(request);
        return client.Read(type);
    }

    /// <summary>--json: the answer as it came. Returns the exit code.</summary>
    public static int PrintJson(string socket, ControlRequest request)
    {
        using ControlClient client = new(socket);
        client.Ask(request);
        Console.Out.WriteLine(client.ReadLine());
        return 0;
    }
}
